#!/bin/sh
# kexec-boot: starts the installer of this directory in place of the running system.
#   kexec-boot [-y] [IMAGE DISK] [KEY=VALUE...]
# IMAGE DISK   what to install where, if both were left open when it was built
# KEY=VALUE    other settings, such as sha256=HEX
# -y           does not ask
# With the program curlingiron beside it, that does the work: it shows a plan, proves what can be
# proven and hands this machine's network on. Else it takes kexec(8), of kexec-tools.
set -eu

fail() {
  printf 'kexec-boot: %s; nothing was changed\n' "$1" >&2
  exit 1
}

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
  exit "$1"
}

# A word of the kernel's command line; blanks in it need quotes there.
add_word() {
  case $1 in
    *'"'*) fail "$1: a setting cannot hold quotes here" ;;
    *[[:space:]]*) words="$words \"$1\"" ;;
    *) words="$words $1" ;;
  esac
}

# What was built in, and cannot be said again; empty: open.
built_image=@image@
built_disk=@disk@
built_keys=@built@
# Every setting that there is.
known_keys=@known@

is_among() {
  case " $2 " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
  esac
}

# One KEY=VALUE, for a kernel that is told it directly: /init takes what was built in before it.
add_setting() {
  key=${1%%=*}
  is_among "$key" "$known_keys" ||
    fail "$1: is no setting, which is KEY=VALUE; the keys are $known_keys"
  is_among "$key" "$built_keys" && fail "$key was built in and stays as it is; leave it out"
  case $1 in
    *=?* | insecure) ;;
    *) fail "$1: a value is missing" ;;
  esac
  add_word "curlingiron.$1"
}

self=$(readlink -f -- "$0" 2> /dev/null) || self=$0
here=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd)
yes=
case ${1-} in
  -h | --help) usage 0 ;;
  -y | --yes) yes=--yes; shift ;;
esac
image=
disk=
case ${1-} in
  http://* | https://*)
    [ -z "$built_image" ] || [ -z "$built_disk" ] ||
      fail "image and disk were built in; leave IMAGE and DISK out"
    [ -z "$built_image" ] ||
      fail "$built_image was built in; leave IMAGE out and give the disk as dst=DISK"
    [ -z "$built_disk" ] ||
      fail "the disk $built_disk was built in; leave DISK out and give the image as src=IMAGE"
    [ -n "${2-}" ] || fail "$1: give the disk after it"
    image=$1
    disk=$2
    shift 2
    ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can replace the running system; run it with sudo"
for file in vmlinuz initrd cmdline; do
  [ -r "$here/$file" ] || fail "$here/$file: is not there; copy the whole directory"
done

if [ -x "$here/curlingiron" ]; then
  for setting; do
    shift
    set -- "$@" --set "$setting"
  done
  [ -n "$image" ] || exec "$here/curlingiron" start "$here" $yes "$@"
  exec "$here/curlingiron" flash --payload "$here" $yes "$@" "$image" "$disk"
fi

command -v kexec > /dev/null ||
  fail "kexec is not installed; install kexec-tools, or put the program curlingiron into $here"
words=$(cat "$here/cmdline")
# The consoles that this system has, the next one needs, too.
set -f
for word in $(cat /proc/cmdline); do
  case $word in
    console=* | earlycon* | earlyprintk=*) words="$words $word" ;;
  esac
done
set +f
if [ -n "$image" ]; then
  add_setting "src=$image"
  add_setting "dst=$disk"
fi
for setting; do
  case $setting in
    dst=*)
      [ -z "$disk" ] || fail "$setting: the disk is $disk already; give one of them"
      disk=${setting#dst=}
      ;;
  esac
  add_setting "$setting"
done
if [ -z "$yes" ]; then
  what=
  [ -z "$disk$built_disk" ] || what=": all data on ${disk:-$built_disk} will be lost"
  # Standard input may be a pipe.
  (: < /dev/tty) 2> /dev/null || fail "nobody to ask: there is no terminal; pass -y if you mean it"
  printf 'This machine goes down and the installer starts%s.\nType yes to go on: ' \
    "$what" > /dev/tty
  read -r answer < /dev/tty || answer=
  [ "$answer" = yes ] || fail "not confirmed"
fi
# What stays loaded would start at some later restart: from here on it is unloaded, or started.
interrupted=
trap 'interrupted=yes' HUP INT TERM
# kexec_file_load(2) where there is it: a locked-down kernel has no other.
kexec -s -l "$here/vmlinuz" --initrd="$here/initrd" --command-line="$words" 2> /dev/null ||
  [ -n "$interrupted" ] ||
  kexec -l "$here/vmlinuz" --initrd="$here/initrd" --command-line="$words" || [ -n "$interrupted" ] ||
  fail "kexec does not take the kernel (is it switched off by kernel.kexec_load_disabled, or by Secure Boot?)"
trap '' HUP INT TERM
if [ -n "$interrupted" ]; then
  kexec -u || :
  fail "interrupted"
fi
state=
if [ -d /run/systemd/system ] && command -v systemctl > /dev/null; then
  systemctl kexec && exit 0
else
  sync
  state=" and its file systems may be read-only now"
  { echo u > /proc/sysrq-trigger; } 2> /dev/null || :
  kexec -e || :
fi
kexec -u || :
printf 'kexec-boot: this system does not go down%s: restart it\n' "$state" >&2
exit 1
