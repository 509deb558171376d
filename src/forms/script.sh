#!/bin/sh
# curlingiron: replaces the operating system of this machine with a disk image.
#   curl -fsSL URL | sudo sh
#   curl -fsSL URL | sudo sh -s -- [IMAGE DISK] [OPTIONS]
# OPTIONS are those of "curlingiron flash"; -s -- --help lists them. It shows what it is going to do
# and asks before it changes anything. All it needs is sh with mkdir, chmod and rm, and what it
# carries.
# Nothing below runs before the last line of this file was read.

curlingiron_fail() {
  printf 'curlingiron: %s; nothing was changed\n' "$1" >&2
  exit 1
}

# KiB that are free in the file system of a directory; nothing where nobody can say.
curlingiron_free() {
  df -Pk "$1" 2> /dev/null | {
    read -r _ || :
    read -r _ _ _ free _ || :
    printf '%s' "${free-}"
  }
}

# Whether the first program came whole: all else is judged by that one.
curlingiron_is_whole() {
  command -v cksum > /dev/null || return 0
  [ "$(cksum < "$1")" = "$curlingiron_sum" ]
}

# A directory of our own with room, in which programs may be started.
curlingiron_find_place() {
  full=
  for parent in /run /dev/shm /tmp /var/tmp /root; do
    [ -d "$parent" ] || continue
    free=$(curlingiron_free "$parent")
    if [ -n "$free" ] && [ "$free" -lt "$curlingiron_room" ]; then
      full="$full $parent"
      continue
    fi
    place=$parent/curlingiron.$$
    mkdir -m 700 "$place" 2> /dev/null || continue
    if curlingiron_unpacker > "$place/unpack" && chmod 700 "$place/unpack"; then
      curlingiron_is_whole "$place/unpack" ||
        curlingiron_fail "what the script carries is damaged; get it once more"
      # It ends with 1 where it reads nothing, and with 126 where it may not be started.
      "$place/unpack" < /dev/null > /dev/null 2>&1
      [ $? -ne 1 ] || return 0
    fi
    rm -rf "$place"
    place=
  done
  [ -z "$full" ] ||
    curlingiron_fail "it takes $curlingiron_room KiB of room, which$full lacks; free some there"
  curlingiron_fail "no program can be started in /run, /dev/shm, /tmp, /var/tmp or /root; \
try \"mount -o remount,exec /run\""
}

curlingiron_main() {
  if machine=$(uname -m 2> /dev/null) && [ "$machine" != "$curlingiron_machine" ]; then
    curlingiron_fail "this is a $machine, and the script is for $curlingiron_machine"
  fi
  if user=$(id -u 2> /dev/null) && [ "$user" != 0 ]; then
    curlingiron_fail "only root can replace the operating system; pipe it into \"sudo sh\""
  fi
  umask 077
  place=
  trap '[ -z "$place" ] || rm -rf "$place"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  curlingiron_find_place
  # Where some shells put here-documents.
  TMPDIR=$place
  export TMPDIR
  curlingiron_unpack || curlingiron_fail "it could not be unpacked"
  unset TMPDIR
  # Standard input is the script itself.
  answers=/dev/null
  if (: < /dev/tty) 2> /dev/null; then answers=/dev/tty; fi
  "$place/curlingiron" flash @options@ "$@" < "$answers"
}

