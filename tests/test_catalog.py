import sys

import pytest

from offmap.attempt import InputError
from offmap.catalog import catalog, measures, named, offering, unknown
from offmap.measure import QUESTIONS, Measure


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package with the given files, and find what units it has."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files: dict[str, str], kind: type = int) -> dict[str, object]:
        for name, text in files.items():
            path = tmp_path / "written" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in [path.parent, *path.parent.parents]:
                if tmp_path in folder.parents:
                    (folder / "__init__.py").touch()
            path.write_text(text)
        return catalog("written", kind)

    yield write
    for name in [n for n in sys.modules if n.split(".")[0] == "written"]:
        del sys.modules[name]


def test_a_unit_is_the_attribute_that_bears_the_modules_name(package):
    found = package(
        {
            "deep/down/one.py": "one = 1\nother = 5",
            "two.py": "two = 2",
            "helper.py": "NUMBER = 3",
            "text.py": "text = 'of another kind'",
            "down.py": "",
        }
    )
    assert found == {"one": 1, "two": 2}


def test_a_folder_that_bears_the_name_of_a_unit_is_no_unit(package):
    assert package({"one/__init__.py": "one = 1", "two.py": "two = 2"}) == {"two": 2}


def test_two_units_of_one_name_are_refused(package):
    with pytest.raises(InputError, match="expected one int called one, got two in written"):
        package({"left/one.py": "one = 1", "right/one.py": "one = 2"})


def test_a_module_that_cannot_be_imported_is_an_error(package):
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        package({"deep/__init__.py": "", "deep/one.py": "import not_there"})


def test_a_folder_that_cannot_be_imported_is_an_error(package):
    """`walk_packages` alone would pass over it, and its measures would be missing in silence."""
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        package({"deep/one.py": "one = 1", "deep/__init__.py": "import not_there"})


def test_every_measure_lies_where_its_name_and_question_say():
    assert len(measures()) >= 15
    for name, unit in measures().items():
        assert isinstance(unit, Measure)
        assert unit.name == name
        assert unit.question in QUESTIONS
        module = unit.function.__module__
        if module.startswith("offmap."):
            assert module == f"offmap.measures.{unit.question}.{name}"


def test_the_catalog_is_walked_once():
    assert measures() is measures()


def test_every_question_is_asked():
    assert {unit.question for unit in measures().values()} == set(QUESTIONS)


# ------------------------------------------------------------------------------------ unknown names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("calibration_eror", "calibration_error"),
        ("calibration", "calibration_error"),
        ("effectiverank", "effective_rank"),
        ("contaminatoin", "contamination"),
    ],
)
def test_the_nearest_names_are_said(typed, meant):
    with pytest.raises(
        InputError, match=rf"^expected a measure, got '{typed}': did you mean .*{meant}"
    ):
        named(typed, measures(), "measure")


def test_names_that_are_near_to_nothing_get_a_list():
    known = {letter * 9: 0 for letter in "cab"}
    assert unknown("zzz", known, "thing") == (
        "expected a thing, got 'zzz': did you mean aaaaaaaaa or bbbbbbbbb or ccccccccc?"
    )


def test_where_there_is_nothing_it_is_said():
    assert unknown("a", {}, "setting of toy") == (
        "expected no setting of toy, for there is none, got 'a'"
    )


def test_a_known_name_is_found():
    assert named("a", {"a": 3}, "thing") == 3


# ------------------------------------------------------------------------------------------ offers


def another(name: str, module: str = "somewhere.geometry.file") -> Measure:
    """A measure that is not installed."""

    def function(train: object) -> None: ...

    function.__name__, function.__module__ = name, module
    given = {field: getattr(measures()["contamination"], field) for field in Measure.__slots__}
    return Measure(**given | {"function": function, "per_example": None})


def test_an_offer_is_found_until_the_block_ends():
    one, two = another("one"), another("two")
    with offering(one):
        assert measures()["one"] is one
        with offering(two):
            assert {"one", "two", "contamination"} <= set(measures())
        assert "two" not in measures()
    assert "one" not in measures()


def test_an_offer_ends_with_an_error():
    with pytest.raises(KeyError), offering(another("one")):
        raise KeyError
    assert "one" not in measures()


def test_what_is_installed_may_be_offered_again_and_nothing_else_of_its_name():
    with offering(measures()["contamination"]):
        pass
    clash = offering(another("contamination"))
    with pytest.raises(InputError, match="contamination, which exists already"), clash:
        pass


@pytest.mark.parametrize("module", ["__main__", "file", "somewhere.beauty.file"])
def test_an_offer_must_lie_in_the_folder_of_a_question(module):
    lost = offering(another("one", module))
    with pytest.raises(InputError, match="measure one of the caller: expected its file in"), lost:
        pass
