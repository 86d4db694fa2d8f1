"""`anymodal data`: what a data set holds, what is wrong with it, its parts, other containers, and
preference pairs from a model's own replies."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli import data_pairs
from anymodal.cli.options import add_limits, count, limits_of
from anymodal.cli.process import quick_start
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.data.row_samples import RowSamples
    from anymodal.tools.dataset.statistics import Sample

_SHOWN = 20
"""Problems that are printed; the report has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tasks of `anymodal data`, with their arguments."""
    tasks = parser.add_subparsers(metavar="TASK", required=True, parser_class=type(parser))
    for name, (line, add, task) in _TASKS.items():
        inner = tasks.add_parser(
            name, help=line, description=line[0].upper() + line[1:] + ".", allow_abbrev=False
        )
        _add_source(inner)
        add(inner)
        inner.set_defaults(task=task)
    data_pairs.add_pairs(tasks)


def run(args: argparse.Namespace) -> int:
    """Do the task."""
    task: Callable[[argparse.Namespace], int] = args.task
    return task(args)


def _add_source(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("path", nargs="+", metavar="PATH", help="the data set: files, or a folder")
    add("--folder", type=Path, metavar="DIR", help="where the media lie (default: the data's own)")
    add("--split", metavar="NAME", help="the one to read, where there are several")
    add(
        "--column",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="the data's column by the key that is read; may be given several times",
    )
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave a column out")
    add(
        "--text",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of CSV whose cells are texts, also where they look like lists",
    )
    add("--remote", action="store_true", help="PATH may be URLs")
    add("--index-dir", type=Path, metavar="DIR", help="for indices (default: beside the data)")
    add_limits(parser)


def _open(args: argparse.Namespace) -> RowSamples[Sample]:
    from anymodal.data.conversations import Conversations
    from anymodal.tools.dataset.statistics import open_samples

    columns = dict[str, str]()
    for item in args.column:
        name, _, column = item.partition("=")
        if not name or not column:
            raise ValueError(f"--column {item} maps nothing; write NAME=COLUMN")
        columns[name] = column
    settings = {
        "path": args.path,
        "folder": args.folder,
        "load_targets": True,
        "limits": limits_of(args),
        "columns": columns,
        "ignore": args.ignore,
        "texts": args.text,
        "split": args.split,
        "remote": args.remote,
        "index_dir": args.index_dir,
    }
    return open_samples(Conversations(**settings), **settings)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "A .yaml is a training configuration, whose data are looked at, or mixture."
    add = parser.add_argument
    add("--rows", type=count, default=1000, help="rows to look at (default: %(default)s)")
    add("--all", action="store_true", help="look at all rows")
    add("--tokenizer", metavar="NAME", help="count tokens with it: a folder, or a name of the hub")
    add("--html", type=Path, metavar="FILE", help="write a page with samples and players")
    add("--samples", type=count, default=12, help="samples on the page (default: %(default)s)")
    add("--json", action="store_true", help="print JSON")


def _inspect(args: argparse.Namespace) -> int:
    if len(args.path) == 1 and args.path[0].endswith((".yaml", ".yml")):
        return _inspect_run(args)
    with quick_start():
        source = _open(args)
        from anymodal.tools.dataset.inspection import statistics_text, write_page
        from anymodal.tools.dataset.statistics import collect_statistics

    counter = _token_counter(args.tokenizer)
    statistics = collect_statistics(source, None if args.all else args.rows, counter)
    text = json.dumps(statistics.as_json(), indent=2) if args.json else statistics_text(statistics)
    print(printable(text, None, "\n"))
    if args.html is not None:
        write_page(args.html, source, statistics, args.samples)
    return 0


def _inspect_run(args: argparse.Namespace) -> int:
    """Look at the data of a training configuration, which may be a mixture."""
    with quick_start():
        from anymodal.data.mixture import Mixture
        from anymodal.tools.dataset.inspection import statistics_text, write_page
        from anymodal.tools.dataset.run_data import (
            named_sources_of,
            open_run_data,
            row_sources,
            samples_text,
            shares_text,
        )
        from anymodal.tools.dataset.statistics import collect_statistics

        data = open_run_data(args.path[0])
    counter, sources = _token_counter(args.tokenizer), row_sources(data)
    most = None if args.all else args.rows
    found = {name: collect_statistics(each, most, counter) for name, each in sources.items()}
    shares = data.shares() if isinstance(data, Mixture) else {}
    if args.json:
        statistics = {name: each.as_json() for name, each in found.items()}
        print(json.dumps({"mixture": shares, "data": statistics}, indent=2))
    else:
        blocks = [shares_text(data)] if isinstance(data, Mixture) else []
        for name, each in named_sources_of(data).items():
            text = statistics_text(found[name]) if name in found else samples_text(each)
            blocks += [*([f"## {name}"] if name else []), text]
        print(printable("\n\n".join(blocks), None, "\n"))
    if args.html is not None:
        for name, source in sources.items():
            file = args.html.with_stem(f"{args.html.stem}-{name}") if name else args.html
            write_page(file, source, found[name], args.samples)
    return 0


def _token_counter(name: str | None) -> Callable[[str], int] | None:
    if name is None:
        return None
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Nothing of the data is changed. A check that was stopped goes on where it stopped. The "
        "exit status is 2 where something is wrong."
    )
    add = parser.add_argument
    add("--report", type=Path, required=True, metavar="FILE", help="a .jsonl, written as it goes")
    add("--workers", type=int, default=0, help="processes that decode (default: this one alone)")


def _validate(args: argparse.Namespace) -> int:
    with quick_start():
        source = _open(args)
        from anymodal.tools.dataset.checking import check_rows

    if args.workers < 0:
        raise ValueError(f"--workers {args.workers} is no number of processes; give 0 or more")
    settings = repr((args.column, args.ignore, args.text, args.limit, args.folder))
    problems = check_rows(source, args.report, args.workers, settings)
    for name, reason in source.rows.broken:
        print(printable(f"{name} stands aside: {reason}", None))
    for problem in problems[:_SHOWN]:
        print(printable(problem.reason, None))
    if len(problems) > _SHOWN:
        print(f"and {len(problems) - _SHOWN:,} more: {args.report}")
    wrong = len(problems) + len(source.rows.broken)
    total = f"{len(source):,} rows"
    print(f"{total}: {len(problems):,} can't be used" if wrong else f"{total}: all can be used")
    return 2 if wrong else 0


def _add_split(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="for PART.jsonl, one each")
    add(
        "--parts",
        nargs="+",
        default=["train=0.9", "validation=0.1"],
        metavar="PART=SHARE",
        help="their shares, which sum to 1 (default: train=0.9 validation=0.1)",
    )
    add("--by", metavar="COLUMN", help="rows of one value stay together, such as those of a person")
    add(
        "--put",
        nargs="+",
        default=[],
        metavar="PART=VALUE,…",
        help="values of that column that belong to a part, whatever the shares",
    )
    add("--seed", type=int, default=0, help="of the dealing (default: %(default)s)")


def _split(args: argparse.Namespace) -> int:
    with quick_start():
        from anymodal.tools.dataset.splitting import SplitRule, split_rows

    shares, put = dict[str, float](), dict[str, str]()
    for item in args.parts:
        name, _, share = item.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ValueError(f"--parts {item} gives no share; write PART=SHARE") from None
    for item in args.put:
        name, _, values = item.partition("=")
        put |= {value: name for value in values.split(",") if value}
    rule = SplitRule(shares, args.by, put, args.seed)
    source = _open(args)
    parts = split_rows(source, rule)
    from anymodal.tools.dataset.conversion import Converter, prefix_of

    for name in parts:
        if "/" in name or not name:
            raise ValueError(f"{name!r} is no name of a part")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows in parts.items():
        Converter(source, limits=limits_of(args)).write(str(args.out / f"{name}.jsonl"), rows)
        print(f"{args.out / name}.jsonl: {len(rows):,} rows")
    if prefix_of(source.folder, args.out) is None:
        print(f"names of media start in {source.folder}: read the parts with that as folder")
    return 0


def _add_convert(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--out",
        required=True,
        metavar="FILE",
        help="its suffix tells the container: .jsonl, .json, .csv, .tsv (also .gz), .parquet, "
        ".arrow, or shards, as s-{000..009}.tar; without one it is a folder of media with a table",
    )
    add(
        "--media",
        choices=("packed", "referenced"),
        default="referenced",
        help="put media into the rows, or name their files (default: %(default)s; shards and "
        "folders hold theirs)",
    )


def _convert(args: argparse.Namespace) -> int:
    with quick_start():
        source = _open(args)
        from anymodal.tools.dataset.conversion import PACKED, Converter, prefix_of

    converter = Converter(source, args.media, limits_of(args))
    converter.write(args.out)
    beside = f", {converter.written:,} media in {converter.media_folder}"
    print(f"{args.out}: {len(source):,} rows{beside if converter.written else ''}")
    holds = args.media == PACKED or args.out.endswith(".tar") or not Path(args.out).suffix
    if not holds and prefix_of(source.folder, Path(args.out).parent) is None:
        print(f"names of media start in {source.folder}: read it with that as folder")
    return 0


def _add_questions(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Rows name a medium's file and what is in it: labels (a list, or a text with commas), "
        "objects with their category, or with --synonyms a caption; COCO's annotations of "
        "instances are read too. `anymodal eval benchmark pope DIR` asks the questions."
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="for NAME_pope_SETTING.json")
    add("--name", default="own", help="how the files' names begin (default: %(default)s)")
    add("--synonyms", type=Path, metavar="FILE", help="objects with their synonyms, one a line")
    add("--count", type=count, default=3, help="questions with yes, and with no, about each medium")
    add(
        "--question",
        metavar="TEXT",
        help="with {object}, {article} and {kind} (default: Is there {article} {object} in this "
        "{kind}?)",
    )
    add("--seed", type=int, default=0, help="of what is drawn (default: %(default)s)")


def _questions(args: argparse.Namespace) -> int:
    with quick_start():
        from anymodal.evaluation.benchmarks.coco_labels import KIND, coco_labels
        from anymodal.metrics.object_names import ObjectNames
        from anymodal.tools.dataset.object_questions import (
            QUESTION,
            SETTINGS,
            ObjectQuestions,
            QuestionPlan,
            labelled_files,
            labelled_media,
        )

    plan = QuestionPlan(args.count, args.question or QUESTION, args.seed)
    names = ObjectNames.from_file(args.synonyms) if args.synonyms else None
    path = Path(args.path[0])
    if len(args.path) == 1 and (found := coco_labels(path)) is not None:
        folder = Path(args.folder or path.parent)
        media, without = labelled_files(found, KIND, names)
    else:
        source = _open(args)
        folder = source.folder
        media, without = labelled_media(source, names)
    questions = ObjectQuestions(media, plan)
    numbers = questions.write(args.out, args.name)
    for setting in SETTINGS:
        print(f"{args.out / args.name}_pope_{setting}.json: {numbers[setting]:,} questions")
    print(f"{len(media):,} media, {len(questions.counts):,} labels; {without:,} without a label")
    print(f"ask them: anymodal eval benchmark pope {args.out} --media {folder}")
    return 0


_TASKS = {
    "inspect": ("what a data set holds: schemas, texts, media", _add_inspect, _inspect),
    "validate": ("open every row and media file", _add_validate, _validate),
    "split": ("parts for training and validation", _add_split, _split),
    "questions": (
        "questions in POPE's manner from labels, such as whether a thing is in a medium",
        _add_questions,
        _questions,
    ),
    "convert": ("the same rows in another container", _add_convert, _convert),
}
