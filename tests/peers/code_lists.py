"""code_lists.py ZIP...: every value of every code list of UN/EDIFACT directories, one a line.

    D.96A	7077	A	Free-form long description

It shares nothing with waybill's importer: that one goes by words and indentation, this one by the columns
in which the directories print. `tests/import.rs` compares the two, list by list.

| directories         | signs of change | value   | name    |
|---------------------|-----------------|---------|---------|
| up to D.98A         | columns 1, 2    | 4 to 9  | from 11 |
| from D.98B on       | columns 1 to 5  | 6 to 11 | from 12 |
"""

import io
import re
import sys
import zipfile

HEAD = re.compile(r"^[ +*#|X-]{2,5}(\d{4})  \S")
FORM = re.compile(r"^[ +*#|X-]{2,5}Repr:")
RULE = re.compile(r"^[-─═_]{20,}$")
RELEASE = re.compile(r"\.(\d\d[AB])$", re.IGNORECASE)


def files(data, depth=0):
    """Names and bytes of an archive, with those of the archives in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.lower().endswith(".zip") and depth < 3:
                yield from files(content, depth + 1)
            else:
                yield name, content


def is_list(name):
    return re.search(r"UN[CS]L[^/]*\.\d\d[AB]$", name, re.IGNORECASE)


def columns(lines):
    """Where values and names begin, from 0."""
    old = any(re.match(r"^  \d{4}  \S", line) for line in lines)
    return (3, 10) if old else (5, 11)


def values(lines):
    """Element, value and name of each row."""
    value_at, name_at = columns(lines)
    element, in_values, in_note = None, False, False
    for line in lines:
        if RULE.match(line.strip()):
            element, in_values = None, False
        elif element is None and HEAD.match(line):
            element, in_note = HEAD.match(line).group(1), False
        elif FORM.match(line):
            in_values = True
        elif not line.strip():
            in_note = False
        elif line.strip().startswith("Note:"):
            in_note = True
        elif element is not None and in_values and not in_note:
            # A value has no blank and one behind it; the name begins at its column, and not further right.
            signs, value, name = line[:value_at], line[value_at : name_at - 1], line[name_at:]
            is_row = not signs.strip(" +*#|X-") and line[name_at - 1 : name_at] == " " and name[:1].strip()
            if is_row and value.strip() and " " not in value.strip():
                yield element, value.strip(), name.strip()


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as archive:
            content = archive.read()
        for name, data in files(content):
            if not is_list(name):
                continue
            text = data.decode("cp437").replace("\t", "").replace("\r", "")
            release = "D." + RELEASE.search(name).group(1).upper()
            for row in values(text.split("\n")):
                print("\t".join((release,) + row))


if __name__ == "__main__":
    main()
