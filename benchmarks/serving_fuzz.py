"""A server against bodies that schemathesis makes from its own OpenAPI page: none may get a 5xx.

    python -m venv loadenv && loadenv/bin/pip install schemathesis
    OMP_NUM_THREADS=1 python benchmarks/serving_fuzz.py --schemathesis loadenv/bin/schemathesis

`anymodal serve` runs in a process of its own, schemathesis in another. Half of the cases fit the
schema and half break it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from server_process import running_server, tool

from anymodal.io.results import markdown_table

SEED = "1"


def fuzz(program: str, netloc: str, examples: int) -> tuple[int, dict[int, int]]:
    """Number of cases, and of answers by status."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "cases.ndjson"
        command = [program, "run", f"http://{netloc}/openapi.json", "--phases", "fuzzing"]
        command += ["-n", str(examples), "--seed", SEED, "--checks", "not_a_server_error"]
        command += ["--continue-on-failure", "--request-timeout", "120"]
        command += ["--generation-database", "none", "--report-ndjson-path", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if not report.exists():
            raise RuntimeError(f"schemathesis ended early:\n{done.stdout[-3000:]}{done.stderr}")
        statuses: dict[int, int] = {}
        for line in report.read_text("utf-8").splitlines():
            for status in _statuses(json.loads(line)):
                statuses[status] = statuses.get(status, 0) + 1
    return sum(statuses.values()), statuses


def _statuses(node: object) -> list[int]:
    """The statuses of all answers within a line of a report."""
    if isinstance(node, dict):
        own = [node["status_code"]] if isinstance(node.get("status_code"), int) else []
        return own + [status for value in node.values() for status in _statuses(value)]
    if isinstance(node, list):
        return [status for value in node for status in _statuses(value)]
    return []


def main() -> None:
    """Write the number of answers by status."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--schemathesis", metavar="PATH", help="the program; default: of PATH")
    parser.add_argument(
        "--examples", type=int, default=80, help="cases an endpoint; default: %(default)s"
    )
    args = parser.parse_args()
    program = tool("schemathesis", args.schemathesis)
    with running_server("--max-body", "1", "--timeout", "60") as netloc:
        total, statuses = fuzz(program, netloc, args.examples)
    rows = [[str(status), str(count)] for status, count in sorted(statuses.items())]
    verdict = measure.verdict(all(status < 500 for status in statuses))
    table = markdown_table(["status", "answers"], rows)
    text = f"{total} cases, none of them a 5xx: {verdict}. At {measure.library_commit()}."
    measure.write_section("serving fuzz", f"{table}\n\n{text}", args.page)


if __name__ == "__main__":
    main()
