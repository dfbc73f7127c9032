import msgspec

from tensordyno.records.model import Preprocessing, PreprocessingChange


def test_a_change_leaves_the_rest_as_it_is():
    own = Preprocessing(resize=256, mean=(0.1,), std=(0.2,), channels="grey")
    assert PreprocessingChange().applied_to(own) == own
    changed = PreprocessingChange(resize=None, channels="bgr").applied_to(own)
    assert changed == Preprocessing(resize=None, mean=(0.1,), std=(0.2,), channels="bgr")


def test_what_is_not_wanted_does_not_travel():
    for change in (PreprocessingChange(), PreprocessingChange(resize=None), PreprocessingChange(std=(1.0,))):
        text = msgspec.json.encode(change)
        assert msgspec.json.decode(text, type=PreprocessingChange) == change
        assert set(msgspec.json.decode(text)) == set(change.wanted())


def test_a_change_may_touch_everything_there_is():
    assert PreprocessingChange.__struct_fields__ == Preprocessing.__struct_fields__
