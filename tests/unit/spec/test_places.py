from tensordyno.spec.places import Places, key_text, shown


def test_a_key_path_reads_as_people_write_it():
    assert key_text(("blocks", 0, "engines", 1, "options")) == "blocks[0].engines[1].options"
    assert key_text(("a\nb",)) == "a b"


def test_the_nearest_known_place_answers():
    places = Places({(): "a.yaml", ("engines",): "a.yaml:2", ("engines", 1): "a.yaml:4"})
    assert places.where(("engines", 1, "name")) == "a.yaml:4"
    assert places.where(("engines", 0)) == "a.yaml:2"
    assert places.where(("models",)) == "a.yaml"
    assert Places().where(("models",)) == ""


def test_a_replaced_key_forgets_what_was_below_it():
    places = Places({("engines",): "a.yaml:2", ("engines", 1): "a.yaml:4"})
    places.replace(("engines",), "--set engines=x")
    assert places.where(("engines", 1)) == "--set engines=x"


def test_an_error_says_where_and_what():
    wrong = Places({("threads",): "a.yaml:3"}).error(("threads",), "bad-value", "found 0.", "Do this.")
    assert wrong.line() == "a.yaml:3: threads: found 0. Do this. [bad-value]"


def test_values_are_shown_as_in_yaml_and_short():
    assert [shown(v) for v in (None, True, "x", 1.5)] == ["null", "true", "'x'", "1.5"]
    assert len(shown("x" * 500)) == 60
