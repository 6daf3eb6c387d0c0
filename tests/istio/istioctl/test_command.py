from __future__ import annotations

import pytest

from meshdojo.istio.istioctl import tree
from meshdojo.istio.istioctl.command import Command, Flag, Invocation, UsageError, parse, resolve, usage

FLAGS = (
    Flag("set", "s", "strings"),
    Flag("yes", "y", "bool"),
    Flag("verbose", "v", "bool", default=True),
    Flag("output", "o", default="short"),
    Flag("readiness-timeout", type="duration", default="5m0s"),
)


@pytest.mark.parametrize(
    ("words", "values", "arguments"),
    [
        ([], {"set": [], "yes": False, "verbose": True, "output": "short"}, []),
        (["--set", "a=b", "--set=c=d", "x"], {"set": ["a=b", "c=d"]}, ["x"]),
        (["-ys", "a", "-ojson"], {"yes": True, "set": ["a"], "output": "json"}, []),
        (["--verbose=false", "-o", "yaml"], {"verbose": False, "output": "yaml"}, []),
        (["x", "-y", "--", "-z"], {"yes": True}, ["x", "-z"]),
        (["-"], {}, ["-"]),
    ],
)
def test_flags(words: list[str], values: dict[str, object], arguments: list[str]) -> None:
    found = parse(FLAGS, words)
    assert {name: found[name] for name in values} == values
    assert found.arguments == arguments


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bar"], "unknown flag: --bar"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["--set"], "flag needs an argument: --set"),
        (["-s"], "flag needs an argument: 's' in -s"),
        (["--yes=perhaps"], 'invalid argument "perhaps" for "-y, --yes" flag: strconv.ParseBool'),
        (["--readiness-timeout", "soon"], 'invalid argument "soon" for "--readiness-timeout" flag: time: invalid'),
    ],
)
def test_mistakes_in_cobras_words(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, words)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("words", "path", "rest"),
    [
        (["install", "-y"], ["istioctl", "install"], ["-y"]),
        (["apply"], ["istioctl", "install"], []),
        (["-n", "shop", "ps"], ["istioctl", "proxy-status"], ["-n", "shop"]),
        (["pc", "routes", "web"], ["istioctl", "proxy-config", "route"], ["web"]),
        (
            ["x", "describe", "svc", "web", "-n", "a"],
            ["istioctl", "experimental", "describe", "service"],
            ["web", "-n", "a"],
        ),
        (["--kubeconfig=x", "version"], ["istioctl", "version"], ["--kubeconfig=x"]),
        (["manifest"], ["istioctl", "manifest"], []),
    ],
)
def test_commands_are_found_among_flags(words: list[str], path: list[str], rest: list[str]) -> None:
    found, left = resolve(tree.ROOT, tree.GLOBALS, words)
    assert ([command.name for command in found], left) == (path, rest)


def test_an_unknown_command() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(tree.ROOT, tree.GLOBALS, ["foo"])
    assert str(caught.value) == 'unknown command "foo" for "istioctl"\nRun \'istioctl --help\' for usage.'


@pytest.mark.parametrize("words", [["proxy-config", "foo"], ["manifest", "diff", "a", "b"], ["x", "revision"]])
def test_below_the_root_an_unknown_command_is_none(words: list[str]) -> None:
    found, rest = resolve(tree.ROOT, tree.GLOBALS, words)
    assert (len(found), found[-1].run, rest) == (2, None, words[1:])


def commands(path: tuple[Command, ...]) -> list[tuple[Command, ...]]:
    below = [found for one in path[-1].commands for found in commands((*path, one))]
    return [path, *below]


@pytest.mark.parametrize("path", commands((tree.ROOT,)), ids=lambda path: " ".join(one.name for one in path))
def test_help_names_every_flag_and_command(path: tuple[Command, ...]) -> None:
    text = usage(path, tree.GLOBALS)
    for flag in (*path[-1].flags, *tree.GLOBALS):
        assert f"--{flag.name}" in text
    for command in path[-1].commands:
        assert f"  {command.name} " in text
    assert "help for " + path[-1].name in text


@pytest.mark.parametrize("path", commands((tree.ROOT,)), ids=lambda path: " ".join(one.name for one in path))
def test_no_flag_is_given_twice(path: tuple[Command, ...]) -> None:
    flags = (*path[-1].flags, *tree.GLOBALS, tree.HELP)
    names = [flag.name for flag in flags]
    letters = [flag.short for flag in flags if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(letters)) == len(letters)


def test_an_invocation_gives_values_by_name() -> None:
    assert Invocation({"a": 1}, [])["a"] == 1
