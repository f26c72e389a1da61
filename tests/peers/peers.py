"""What waybill reads and writes, seen by parsers that others wrote: pydifact and pyx12.

Three questions, each with a figure; any disagreement that is not in known.tsv ends with code 1.

1. Are the segments of `waybill show --json` those of pydifact and pyx12, file by file?
2. Do both read what `waybill convert` writes, and find the same segments in it as in the original?
3. Is each of 30 defects per standard answered at its level with its code, and do both read the answers?

The tables of defects are written from the standards. This program imports nothing of waybill; it only runs it.
"""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import pyx12.errors
import pyx12.x12file
from pydifact.segmentcollection import RawSegmentCollection

warnings.simplefilter("ignore")
# Of a line that says what differs.
MOST = 300
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def run(waybill, *arguments, stdin=None):
    """What waybill prints, and how it ends; it must never crash."""
    done = subprocess.run(
        [waybill, *arguments], input=stdin, capture_output=True, timeout=120, cwd=ROOT, check=False
    )
    if done.returncode not in (0, 1, 2, 3):
        sys.exit(f"waybill {arguments}: code {done.returncode}: {done.stderr.decode()[-400:]}")
    return done


def trimmed(parts):
    """Parts without the empty ones at the end, which mean nothing in both standards."""
    parts = list(parts)
    while parts and parts[-1] in ("", [], [""]):
        parts.pop()
    return parts


def plain(element):
    """One element as a list of components."""
    if isinstance(element, list):
        return trimmed(plain_text(component) for component in element)
    return trimmed([plain_text(element)])


def plain_text(value):
    return "" if value is None else str(value)


def key(tag, elements):
    if tag == "ISA":
        # Filled with blanks; its last element is the separator that others split by.
        elements = [[("".join(plain(e))).strip()] for e in elements[:15]]
    return (tag.strip(), tuple(tuple(element) for element in trimmed(plain(e) for e in elements)))


class Unlike(Exception):
    """This file cannot be compared with that parser."""


def pydifact_segments(data):
    """Tags and elements by pydifact; Unlike where it gives up."""
    text = data.decode(declared(data), "replace")
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = RawSegmentCollection.from_str(text)
    except Exception as error:  # noqa: BLE001 - whatever it throws, it did not read the file
        raise Unlike(str(error)) from error
    return [key(s.tag, s.elements) for s in found.segments if s.tag != "UNA"]


# What the syntax identifiers of UNB 0001 stand for (ISO 9735-1, annex); pydifact wants text.
SETS = {
    b"UNOC": "latin-1", b"UNOD": "iso8859-2", b"UNOE": "iso8859-5", b"UNOF": "iso8859-7",
    b"UNOX": "iso2022_jp", b"UNOW": "utf-8",
}


def declared(data):
    """The codec of a file. Where its set has no bytes above ASCII: UTF-8 if it is that, else ISO 8859-1."""
    at = data.find(b"UNB")
    named = SETS.get(data[at + 4 : at + 8]) if at >= 0 else None
    return named or ("utf-8" if is_utf8(data) else "latin-1")


def pyx12_segments(data):
    """Tags and elements by pyx12, and what it has against the envelope."""
    text = data.decode("utf-8", "strict") if is_utf8(data) else data.decode("latin-1")
    try:
        reader = pyx12.x12file.X12Reader(io.StringIO(text))
        segments, faults = [], []
        for segment in reader:
            elements = [value.split(reader.subele_term) for value in raw_elements(segment, reader)]
            segments.append(key(segment.get_seg_id() or "", elements))
            faults += reader.pop_errors()
        reader.cleanup()
        faults += reader.pop_errors()
    except Exception as error:  # noqa: BLE001 - see above
        raise Unlike(str(error)) from error
    return segments, faults


def raw_elements(segment, reader):
    text = segment.format(seg_term="", ele_term="\x1d", subele_term=reader.subele_term)
    return text.split("\x1d")[1:]


def is_utf8(data):
    with contextlib.suppress(UnicodeDecodeError):
        data.decode("utf-8")
        return True
    return False


def nested(segments, standard):
    """The segments of a part of the JSON of documents, without groups around them."""
    for segment in segments:
        if "group" in segment:
            yield from nested(segment["segments"], standard)
        elif "segment" in segment and segment["segment"] != "UNA":
            elements = segment.get("elements", [])
            if any(isinstance(element, dict) for element in elements):
                raise Unlike("repetitions, which the other parser takes for text")
            yield segment.get("offset"), key(segment["segment"], elements)


def our_segments(waybill, data, standard):
    """Tags and elements by waybill, in the order of the file; Unlike where it refuses some part."""
    with tempfile.NamedTemporaryFile(suffix=".edi") as file:
        file.write(data)
        file.flush()
        done = run(waybill, "show", "--json", "--lenient", "--level", "0", file.name)
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    if not parts or any(part["format"] != standard for part in parts):
        raise Unlike("not of this standard")
    if any(p["severity"] == "error" for part in parts for p in part["problems"]):
        raise Unlike("waybill finds errors")
    found = []
    for part in parts:
        for offset, segment in nested(part["segments"], standard):
            found.append((part["start"] + offset, segment))
    return [segment for _, segment in sorted(found, key=lambda one: one[0])]


def files(standard, corpus):
    for folder in sorted((ROOT / "testdata" / standard).iterdir()):
        for name in folder.glob("input.*"):
            yield f"testdata/{folder.name}", name.read_bytes()
    if corpus:
        for name in sorted((corpus / standard).iterdir()):
            if name.is_file():
                yield name.name, name.read_bytes()


def known():
    """Disagreements that were looked into: (question, file) -> why."""
    lines = (HERE / "known.tsv").read_text().splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {(question, name): why for question, name, why in rows}


class Tally:
    """Counts of one question, and what disagrees."""

    def __init__(self, question, explained):
        self.question, self.explained = question, explained
        self.same, self.unlike, self.known, self.refused, self.wrong = 0, 0, 0, 0, []

    def compare(self, name, ours, theirs):
        if ours == theirs:
            self.same += 1
        elif (self.question, name) in self.explained:
            self.known += 1
        else:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
            self.wrong.append(f"{name}: segment {at + 1}: {ours[at:at + 1]} and {theirs[at:at + 1]}"[:MOST])

    def end(self):
        print(f"{self.question}: {self.same} equal, {self.known} differ for a known reason, "
              f"{len(self.wrong)} differ, {self.unlike} not comparable, {self.refused} not written for their content")
        for wrong in self.wrong:
            print(f"   {wrong}")
        return not self.wrong and self.same > 0


def reading(waybill, standard, corpus, explained):
    """Question 1 and 2 for one standard."""
    peer, theirs_of = {
        "edifact": ("pydifact", pydifact_segments),
        "x12": ("pyx12", lambda data: pyx12_segments(data)[0]),
    }[standard]
    read = Tally(f"read {standard} as {peer}", explained)
    written = Tally(f"written {standard} read by {peer}", explained)
    for name, data in files(standard, corpus):
        try:
            ours = our_segments(waybill, data, standard)
            theirs = theirs_of(data)
        except Unlike:
            read.unlike += 1
            written.unlike += 1
            continue
        read.compare(name, ours, theirs)
        if ours[0][0] not in ("UNB", "ISA"):
            written.unlike += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            source, document = pathlib.Path(folder, "a.edi"), pathlib.Path(folder, "a.jsonl")
            source.write_bytes(data)
            document.write_bytes(run(waybill, "convert", "--lenient", "--to", "json", str(source)).stdout)
            out = run(waybill, "convert", "--format", "json", "--to", standard, str(document))
        if out.returncode != 0:
            # Bad content is read with a warning and never written; how often is said.
            written.refused += 1
            continue
        try:
            again = theirs_of(out.stdout)
            written.compare(name, made_anew(again), made_anew(ours))
            faults = counts_are_wrong(standard, out.stdout, again)
            if faults and (written.question, name) not in explained:
                written.wrong.append(f"{name}: {faults}")
        except Unlike as error:
            written.wrong.append(f"{name}: {peer} does not read it: {error}; {out.stderr.decode()[:200]}")
    return [read.end(), written.end()]


def made_anew(segments):
    """Segments with bare trailers: counts and references in them are made by the writer."""
    trailers = ("UNT", "UNE", "UNZ", "SE", "GE", "IEA")
    return [(tag, () if tag in trailers else elements) for tag, elements in segments]


def counts_are_wrong(standard, data, segments):
    """What the other parser has against the envelope; of EDIFACT, which pydifact does not check, by hand."""
    if standard == "x12":
        return [fault for fault in pyx12_segments(data)[1] if fault[0] in ("isa", "gs", "st")]
    faults, messages, first = [], 0, {}
    for at, (tag, elements) in enumerate(segments):
        if tag == "UNB":
            messages, groups = 0, 0
        elif tag == "UNG":
            groups, in_group = groups + 1, 0
        elif tag == "UNH":
            first, messages, in_group = (at, elements[0]), messages + 1, in_group + 1 if groups else 0
        elif tag == "UNT" and elements[:2] != ((str(at - first[0] + 1),), first[1]):
            faults.append(f"UNT {elements}")
        elif tag == "UNE" and elements[0] != (str(in_group),):
            faults.append(f"UNE {elements}")
        elif tag == "UNZ" and elements[0] != (str(groups or messages),):
            faults.append(f"UNZ {elements}")
    return faults


EDIFACT = (
    "UNA:+.? 'UNB+UNOC:3+SENDER:14+RECEIVER:ZZ+261122:1200+REF1++++1'"
    "UNH+1+IFTSTA:D:10B:UN'BGM+23+77+9'DTM+137:20261122:102'UNT+4+1'"
    "UNH+2+IFTSTA:D:10B:UN'BGM+23+78+9'DTM+137:20261122:102'UNT+4+2'UNZ+2+REF1'"
)
X12 = (
    f"ISA*00*{'':10}*00*{'':10}*ZZ*{'SENDER':15}*ZZ*{'RECEIVER':15}*261122*1200*^*00501*000000001*1*P*:~"
    "GS*VB*S*R*20261122*1200*7*X*005010~ST*121*0001~BVS*SCAC~VC*WAY1ZZZA6TB000017~SE*4*0001~"
    "ST*121*0002~BVS*SCAC~VC*WAY1ZZZA6TB000017~SE*4*0002~GE*2*7~IEA*1*000000001~"
)


def defects(standard):
    lines = (HERE / f"defects-{standard}.tsv").read_text().splitlines()
    for line in [line for line in lines if line and not line.startswith("#")][1:]:
        name, old, new, level, code = line.split("\t")
        yield name, unescaped(old), unescaped(new), level, code


def unescaped(text):
    return text.replace("\\n", "\n").replace("\\x07", "\x07").replace("\\ufeff", "\ufeff")


def contrl_answer(segments):
    """The deepest segment with a code in 0085, and the code: where the fault was found."""
    found = ("", "")
    place = {"UCI": 4, "UCF": 4, "UCM": 3, "UCS": 1, "UCD": 0}
    for tag, elements in segments:
        at = place.get(tag)
        if at is not None and len(elements) > at and elements[at]:
            found = (tag, elements[at][0])
    return found


def x12_answer(segments):
    """The deepest segment with a code, in the order TA1, AK9, AK5, AK3, AK4."""
    place = {"TA1": 4, "AK9": 4, "AK5": 1, "AK3": 3, "AK4": 2}
    codes = {}
    for tag, elements in segments:
        at = place.get(tag)
        if at is not None and len(elements) > at and elements[at] and elements[at][0] not in ("", "000"):
            codes.setdefault(tag, elements[at][0])
    for tag in ("AK4", "AK3", "AK5", "AK9", "TA1"):
        if tag in codes and not (tag == "AK5" and codes[tag] == "5"):
            return tag, codes[tag]
    return "", ""


def read_answer(standard, answer):
    """The segments of an answer by the other parser; its complaints of the envelope are faults."""
    if standard == "edifact":
        return pydifact_segments(answer)
    segments, faults = pyx12_segments(answer)
    # pyx12 complains of the blank elements at the end that nobody sends; envelope level only.
    grave = [fault for fault in faults if fault[0] in ("isa", "gs", "st")]
    if grave:
        raise Unlike(str(grave))
    return segments


def ack(waybill, text, *options):
    done = run(waybill, "ack", "--strict", *options, "-", stdin=text.encode())
    return done.stdout


def answers(waybill, standard):
    """Question 3: defects, duplicates, and answers to answers."""
    good, answer_of = (EDIFACT, contrl_answer) if standard == "edifact" else (X12, x12_answer)
    right, wrong = 0, []
    for name, old, new, level, code in defects(standard):
        bad = good.replace(old, new, 1)
        if bad == good:
            wrong.append(f"{name}: nothing was replaced")
            continue
        answer = ack(waybill, bad)
        try:
            found = answer_of(read_answer(standard, answer))
        except Unlike as error:
            wrong.append(f"{name}: the other parser does not read the answer: {error}")
            continue
        if found == (level, code):
            right += 1
        else:
            wrong.append(f"{name}: expected {level} {code}, found {found}: {answer.decode()}")
        if ack(waybill, answer.decode()):
            wrong.append(f"{name}: the answer is answered")
    duplicate = ("UCI", "26") if standard == "edifact" else ("TA1", "025")
    again = ack(waybill, good + good)
    found = [answer_of([segment]) for segment in read_answer_of_all(standard, again)]
    if duplicate not in found:
        wrong.append(f"duplicate: {duplicate} is not in {again.decode()}")
    print(f"answers to {standard} defects: {right} at their level with their code, {len(wrong)} not")
    for line in wrong:
        print(f"   {line}")
    return not wrong


def read_answer_of_all(standard, answer):
    """The segments of several answers in one file, split by hand: pyx12 reads one control number once."""
    end, element = ("'", "+") if standard == "edifact" else ("~", "*")
    for segment in answer.decode().split(end):
        parts = segment.strip().split(element)
        yield key(parts[0], [part.split(":") for part in parts[1:]])


def main():
    waybill = str(pathlib.Path(sys.argv[1]).resolve())
    corpus = ROOT.parent / "shared" / "corpus"
    if not corpus.is_dir():
        print("shared/corpus is not there: only testdata/ is compared")
        corpus = None
    explained = known()
    good = []
    for standard in ("edifact", "x12"):
        good += reading(waybill, standard, corpus, explained)
        good.append(answers(waybill, standard))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
