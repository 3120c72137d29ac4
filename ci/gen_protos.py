"""Generates fleetq_server/pb from protos/: the wheel's build hook, and a script.

    python ci/gen_protos.py            write the modules
    python ci/gen_protos.py --check    exit 1 if those on disk differ from a fresh generation

protoc names modules after the proto's path and imports them absolutely, which would claim the
top-level name `fleetq` for everybody; here they are flattened and import each other relatively.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "fleetq/v1"
TARGET = Path("fleetq_server/pb")
GENERATED = "*_pb2*.py*"

_ABSOLUTE_IMPORT = re.compile(rf"^from {PACKAGE.replace('/', '.')} import", re.MULTILINE)


def generate(root: Path) -> dict[str, str]:
    """The text of every module, by file name."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        _protoc(root / "protos", out)
        modules = {path.name: _tidy(path.read_text()) for path in sorted((out / PACKAGE).iterdir())}
        protos = FileDescriptorSet.FromString((out / "set").read_bytes()).file
    for proto in protos:
        _type_services(proto, modules)
    return modules


def _tidy(text: str) -> str:
    # protoc leaves the arguments of Mapping out, which a strict type check refuses.
    text = text.replace(", _Mapping]", ", _Mapping[str, object]]")
    return _ABSOLUTE_IMPORT.sub("from . import", text)


def _protoc(source: Path, out: Path) -> None:
    protos = [str(path) for path in sorted((source / PACKAGE).glob("*.proto"))]
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", *outputs]
    subprocess.run([*command, f"-o{out / 'set'}", *protos], check=True)


def _type_services(proto: FileDescriptorProto, modules: dict[str, str]) -> None:
    stem = Path(proto.name).stem
    if proto.service:
        modules[f"{stem}_pb2_grpc.pyi"] = "\n".join(_service_types(proto, stem))
    else:
        del modules[f"{stem}_pb2_grpc.py"]


def _service_types(proto: FileDescriptorProto, stem: str) -> Iterator[str]:
    """protoc types the messages only; these are the services, for grpc.aio."""
    yield f"import typing\n\nimport grpc.aio\n\nfrom . import {stem}_pb2 as _pb"
    for service in proto.service:
        stub, servicer = [f"\nclass {service.name}Stub:"], [f"\nclass {service.name}Servicer:"]
        stub.append("    def __init__(self, channel: grpc.aio.Channel) -> None: ...")
        for rpc in service.method:
            types = f"{_type(rpc.input_type)}, {_type(rpc.output_type)}"
            kind = "UnaryStream" if rpc.server_streaming else "UnaryUnary"
            stub.append(f"    {rpc.name}: grpc.aio.{kind}MultiCallable[{types}]")
            answer = _type(rpc.output_type)
            if rpc.server_streaming:
                servicer.append(f"    def {rpc.name}(")
                answer = f"typing.AsyncIterator[{answer}]"
            else:
                servicer.append(f"    async def {rpc.name}(")
            servicer.append(f"        self, request: {_type(rpc.input_type)},")
            servicer.append(f"        context: grpc.aio.ServicerContext[{types}],")
            servicer.append(f"    ) -> {answer}: ...")
        yield from (*stub, *servicer)
        yield f"\ndef add_{service.name}Servicer_to_server("
        yield f"    servicer: {service.name}Servicer, server: grpc.aio.Server"
        yield ") -> None: ...\n"


def _type(name: str) -> str:
    return f"_pb.{name.rpartition('.')[2]}"


def write(root: Path, *, dry_run: bool = False) -> list[str]:
    """Makes the modules on disk equal a fresh generation. → names of those that were not."""
    target, fresh = root / TARGET, generate(root)
    present = {path.name: path.read_text() for path in target.glob(GENERATED)}
    stale = [n for n in sorted(fresh.keys() | present.keys()) if fresh.get(n) != present.get(n)]
    for name in [] if dry_run else stale:
        if name in fresh:
            (target / name).write_text(fresh[name])
        else:
            (target / name).unlink()
    return stale


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """Makes the modules part of a wheel; an sdist carries the protos instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            write(Path(self.root))
            # They are git-ignored, and hatch leaves out what git ignores.
            build_data["artifacts"].append(f"/{TARGET.as_posix()}/{GENERATED}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate fleetq_server/pb from protos/.")
    parser.add_argument("--check", action="store_true", help="only say what would change")
    check = parser.parse_args().check
    stale = write(ROOT, dry_run=check)
    for name in stale:
        print(f"{'stale' if check else 'written'}: {TARGET / name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
