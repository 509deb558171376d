"""The show of scripts/demo, with the machine's console live on this terminal."""

import argparse
import os
import shutil
import sys
import time

from tests.e2e import harness, inplace


def say(text):
    sys.stdout.write(f"\n\x1b[0;1m== {text}\x1b[0m\n")
    sys.stdout.flush()


def seconds(value):
    return f"{value:.1f} s"


def megabytes(value):
    return f"{int(value) / 1e6:,.1f} MB"


def summary(before, after, told, scene, times):
    rows = [("", "before", "after")]
    rows += [(what, before[what], after[what]) for what in before]
    width = max(len(r[1]) for r in rows) + 2
    print("\n".join(f"  {a:<11}{b:<{width}}{c}" for a, b, c in rows))
    installed = told["install"]
    init = float(told["leave"]["t"]) if "leave" in told else float(told["finish"]["t"])
    print(f"""
  image      {scene.url}
             {megabytes(scene.served.stat().st_size)} served, {megabytes(installed['bytes'])} on the disk, of these {megabytes(installed['zero'])} zeros
  proof      {told['verify']['by']}; compared on the host side: all {scene.image.stat().st_size} bytes equal but for the table
  times      {seconds(times['flash'])} from `flash` to the jump, {seconds(init)} from the jump to the restart
             (network after {seconds(float(told['network']['t']))}, first image byte after {seconds(float(told['source']['t']))}, \
written in {seconds(float(installed['seconds'].rstrip('s')))}),
             {seconds(times['boot'])} from the restart to the new login prompt; on emulated processors, without KVM
  console    {scene.artifacts}/machine.console.log
""")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Debian 12 becomes Debian 13, in place.")
    parser.add_argument("--uefi", action="store_true", help="UEFI firmware instead of a BIOS")
    parser.add_argument("--form", choices=inplace.IMAGES, default="zstd", help="how the image is served")
    parser.add_argument("--keep", action="store_true", help="keep the machine's disk in build/demo")
    options = parser.parse_args()
    if options.keep:
        os.environ["CURLINGIRON_E2E_KEEP"] = "1"
    os.environ["PATH"] = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"
    artifacts = harness.ROOT / "build" / "demo"
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir(parents=True)

    firmware = "uefi" if options.uefi else "bios"
    scene = inplace.Scene(artifacts, options.form)
    machine = None
    try:
        say(f"The old machine starts from its own disk ({firmware.upper()}). Its console:")
        machine = scene.old_machine(firmware=firmware, echo=True)
        machine.log_in()
        machine.echo = False
        before = inplace.identity(machine, "/dev/vda")
        scene.fetch_command(machine)
        machine.echo = True
        machine.send("PS1='\\h# '; stty echo\n")
        machine.expect(r"old-machine# $", 60)

        say("curlingiron flash, typed on that console")
        started = time.monotonic()
        machine.send(scene.flash_command("/dev/vda") + "\n")
        machine.expect(r"This replaces everything on", 300, unless=inplace.FAILED)
        machine.expect(r"^curlingiron: phase=mounts status=ok t=(\S+)", 300, unless=inplace.FAILED)
        jumped = time.monotonic()
        told = inplace.watch_install(machine, first="config")

        say("Installed; the machine asks for its restart. Meanwhile its disk is compared with the image")
        difference = harness.install_difference(scene.disk, scene.image)
        if difference is not None:
            raise machine.failure(difference)
        print(f"all {scene.image.stat().st_size} bytes are equal, but for those of the partition table, which is that of "
              "this disk now")

        say("The restart")
        restarted = time.monotonic()
        machine.resume()
        machine.expect(r"^Debian GNU/Linux 13 new-machine ttyS0", 600)
        booted = time.monotonic()
        machine.log_in()
        machine.echo = False
        after = inplace.identity(machine, "/dev/vda")
        machine.kill()
        say("Before and after")
        summary(before, after, told, scene, {"flash": jumped - started, "boot": booted - restarted})
        return 0
    except harness.Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    finally:
        if machine:
            machine.kill()
        scene.close()


if __name__ == "__main__":
    sys.exit(main())
