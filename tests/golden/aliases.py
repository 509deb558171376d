#!/usr/bin/env python3
"""Compares what every alias of a real kernel resolves to with `modprobe -R`, names and order.

usage: aliases.py PAYLOAD_TEST
CURLINGIRON_MODULES_ROOT names a directory that holds lib/modules/RELEASE with depmod's files; where
it is not set, the test is skipped (exit 0, with a message). PAYLOAD_TEST is the unit test program,
which answers the questions.

Of each pattern in modules.alias one text that fits it is made, and of every tenth another one that
is a letter off. The text depends on the pattern alone, so a failure repeats itself.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

# Each of a call's questions is followed by a module's own name, which resolves to itself: it tells
# where the answers to the next question begin.
QUESTIONS_IN_A_CALL = 200

# What a '*' may stand for: nothing, ids, classes, and text that says more than its pattern.
STARS = ["", "0", "00001AF4", "00008086", "01", "06", "0C", "FF", "0001", "x-y_z", "1:2", "feature,00A5,"]


def members(body):
    """The characters of a bracket expression without its brackets."""
    found, i = [], 0
    while i < len(body):
        if i + 2 < len(body) and body[i + 1] == "-":
            found += [chr(c) for c in range(ord(body[i]), ord(body[i + 2]) + 1)]
            i += 3
        else:
            found.append(body[i])
            i += 1
    return found


def text_for(pattern):
    """A text that the pattern fits."""
    chance = random.Random(pattern)
    text, i = "", 0
    while i < len(pattern):
        c = pattern[i]
        if c == "*":
            text += chance.choice(STARS)
        elif c == "?":
            text += chance.choice("0Fz")
        elif c == "[":
            end = pattern.index("]", i + 1)
            text += chance.choice(members(pattern[i + 1:end]))
            i = end
        elif c in "-_":
            text += chance.choice("-_")  # the same to kmod
        else:
            text += c
        i += 1
    return text


def one_letter_off(text):
    chance = random.Random(text)
    place = chance.randrange(len(text))
    return text[:place] + chance.choice("0123456789ABCDEFxyz:*") + text[place + 1:]


def questions_of(directory):
    patterns = {}
    for line in (directory / "modules.alias").read_text().splitlines():
        if line.startswith("alias "):
            patterns[line.split()[1]] = None
    questions = {}
    for number, pattern in enumerate(patterns):
        text = text_for(pattern)
        questions[text] = None
        if number % 10 == 0:
            questions[one_letter_off(text)] = None
    # A text that begins with '-' would be an option, and one with '/' a file.
    return [q for q in questions if not q.startswith("-") and "/" not in q]


def ours(program, questions):
    """{(release, question): [module]} as the program resolves them."""
    with tempfile.TemporaryDirectory() as directory:
        asked, answered = (pathlib.Path(directory) / name for name in ("questions", "answers"))
        asked.write_text("".join(f"{release} {q}\n" for release, q in questions))
        environment = dict(os.environ, CURLINGIRON_ALIAS_QUESTIONS=str(asked),
                           CURLINGIRON_ALIAS_ANSWERS=str(answered))
        subprocess.run([program, "--gtest_filter=RealModules.AnswersAliases"], env=environment,
                       check=True, stdout=subprocess.DEVNULL)
        lines = answered.read_text().splitlines()
    if len(lines) != len(questions):
        raise SystemExit(f"{len(questions)} questions, {len(lines)} answers")
    return {question: line.split() for question, line in zip(questions, lines)}


def sentinel_of(directory):
    """A module that nothing but its own name leads to."""
    led_to = {line.split()[2] for line in (directory / "modules.alias").read_text().splitlines()
              if line.startswith("alias ")}
    for line in (directory / "modules.dep").read_text().splitlines():
        name = line.partition(":")[0].rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")
        if name not in led_to:
            return name
    raise SystemExit("every module has an alias")


def modprobes(root, release, questions):
    """{(release, question): [module]} as `modprobe -R` resolves them. No configuration."""
    sentinel = sentinel_of(pathlib.Path(root) / "lib/modules" / release)
    answers = {}
    for begin in range(0, len(questions), QUESTIONS_IN_A_CALL):
        part = questions[begin:begin + QUESTIONS_IN_A_CALL]
        words = [word for question in part for word in (question, sentinel)]
        # Fails where one of them resolves to nothing; says so on stderr, and goes on.
        shown = subprocess.run(["modprobe", "-C", "/dev/null", "-d", root, "-S", release, "-a", "-R", "--", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        groups = [[]]
        for name in shown.stdout.split():
            if name == sentinel:
                groups.append([])
            else:
                groups[-1].append(name.replace("-", "_"))
        if len(groups) != len(part) + 1 or groups[-1]:
            raise SystemExit(f"modprobe -R: {len(part)} questions, {len(groups) - 1} answers")
        for question, names in zip(part, groups):
            # A module with two patterns that fit is printed twice.
            answers[release, question] = list(dict.fromkeys(names))
    return answers


def main():
    root = os.environ.get("CURLINGIRON_MODULES_ROOT")
    if not root:
        print("skipped: CURLINGIRON_MODULES_ROOT is not set")
        return 0
    theirs = {}
    for directory in sorted((pathlib.Path(root) / "lib/modules").iterdir()):
        theirs.update(modprobes(root, directory.name, questions_of(directory)))
    resolved = ours(sys.argv[1], list(theirs))
    wrong = [f"{release} {question}: modprobe -R says {names}, we {resolved[release, question]}"
             for (release, question), names in theirs.items() if names != resolved[release, question]]
    for line in wrong[:100]:
        print(line)
    nothing = sum(not names for names in theirs.values())
    print(f"{len(theirs)} aliases compared ({nothing} lead nowhere), {len(wrong)} differ")
    # Made to fit, nearly all lead somewhere: else nothing would have been compared.
    return 1 if wrong or len(theirs) < 1000 or nothing > len(theirs) / 5 else 0


if __name__ == "__main__":
    sys.exit(main())
