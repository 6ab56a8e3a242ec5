"""Settings of runs, as reports compare them."""

from archsearch.report.run_files import settings_of


def test_settings_of_earlier_versions_have_their_present_names() -> None:
    affine = {"augment.degrees": "5", "augment.translate": "0.1", "augment.scale": "0.1"}
    now = {f"augment.affine.{name.rpartition('.')[2]}": value for name, value in affine.items()}
    assert settings_of({"augment.type": "affine", **affine}) == settings_of({"augment": "affine", **now})
    assert settings_of({"augment.type": "none"}) == settings_of({"augment": "none"})
    both = settings_of({"augment.degrees": "5", "augment": "affine", **now})  # a sweep's value beside the run's own
    assert both == settings_of({"augment": "affine", **now})
