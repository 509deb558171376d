"""Run by cloud_init.py with cloud-init's own modules in PYTHONPATH: what cloud-init makes of networks and of a seed.

    cloud_init_peer.py networks DIR          of each DIR/NAME.yaml, the files of each renderer
    cloud_init_peer.py seed DISK DIR         of a device's seed, what the data source NoCloud finds
Both print JSON.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import yaml
import cloudinit.distros  # first: later versions import each other in a circle
from cloudinit import helpers, util, version
from cloudinit.config import schema
from cloudinit.net import eni, netplan, network_manager, network_state, networkd
from cloudinit.sources import DataSourceNoCloud

CARDS = {f"52:54:00:12:34:5{number}": f"eth{number}" for number in range(4)}
RENDERERS = {
    "netplan": (netplan, "etc/netplan", {"netplan_path": "etc/netplan/50-cloud-init.yaml"}),
    "networkd": (networkd, "etc/systemd/network", {}),
    "eni": (eni, "etc/network", {"eni_path": "etc/network/interfaces"}),
    "network-manager": (network_manager, "etc/NetworkManager/system-connections", {}),
}


def rendered(config):
    """{renderer: {path: text}}"""
    result = {}
    for name, (module, folder, options) in RENDERERS.items():
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, folder))
            renderer = module.Renderer(options)
            state = network_state.parse_net_config_data(config, renderer=renderer)
            with mock.patch("cloudinit.net.get_devicelist", return_value=[]), \
                    mock.patch("cloudinit.net.get_interfaces_by_mac", return_value=CARDS):
                renderer.render_network_state(network_state=state, target=root)
            files = [path for path in sorted(pathlib.Path(root).rglob("*")) if path.is_file()]
            result[name] = {str(path.relative_to(root)): path.read_text() for path in files}
    return result


def complaints(config):
    """Of its schema for a network; before version 24 there was none."""
    kind = getattr(getattr(schema, "SchemaType", None), "NETWORK_CONFIG_V2", None)
    if kind is None:
        return []
    try:
        schema.validate_cloudconfig_schema(config={"network": config}, schema=schema.get_schema(kind),
                                           schema_type=kind, strict=True)
    except schema.SchemaValidationError as error:
        return [problem.message for problem in error.schema_errors]
    return []


def networks(directory):
    result = {}
    for path in sorted(pathlib.Path(directory).glob("*.yaml")):
        config = yaml.safe_load(path.read_text())
        result[path.stem] = {"complaints": complaints(config), "files": rendered(config)}
    return result


def mount(device, callback, data=None, **_):
    """As util.mount_cb: without the kernel's vfat, which not each has."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mcopy", "-s", "-i", device, "::", folder], check=True)
        return callback(folder, data) if data is not None else callback(folder)


def seed(device, directory):
    paths = helpers.Paths({"cloud_dir": os.path.join(directory, "cloud"), "run_dir": os.path.join(directory, "run")})
    source = DataSourceNoCloud.DataSourceNoCloud({"datasource": {"NoCloud": {}}}, mock.MagicMock(), paths)
    found = util.find_devs_with

    def mine(criteria=None, **_):
        """Of this machine's disks, only the test's."""
        return [name for name in found(criteria, no_cache=True) if name == device]

    with mock.patch.object(util, "mount_cb", mount), mock.patch.object(util, "find_devs_with", mine), \
            mock.patch("cloudinit.dmi.read_dmi_data", return_value=None), \
            mock.patch.object(util, "get_cmdline", return_value=""):
        if not source._get_data():
            return None
    user_data, vendor_data = (util.decode_binary(text or "") for text in (source.userdata_raw, source.vendordata_raw))
    for text in (user_data, vendor_data):
        if text.startswith("#cloud-config"):
            schema.validate_cloudconfig_schema(yaml.safe_load(text) or {}, schema=schema.get_schema(), strict=True)
    name = source.get_hostname(fqdn=True)
    return {"seed": source.seed, "instance": source.get_instance_id(), "name": getattr(name, "hostname", name),
            "keys": source.get_public_ssh_keys(), "user-data": user_data,
            "vendor-data": yaml.safe_load(vendor_data) or {}, "network": source.network_config}


def main(arguments):
    verb = {"networks": networks, "seed": seed}[arguments[0]]
    json.dump({"version": version.version_string(), "result": verb(*arguments[1:])}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
