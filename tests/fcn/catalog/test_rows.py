"""The rows of the table: the published schedules, and stages that are there."""

from fcn import catalog
from fcn.catalog.rows import EXPERIMENTS


def test_the_rates_of_the_published_stages_fall_a_hundredfold():
    rates = [dict(EXPERIMENTS[f"voc-fcn{s}s"].schedule.fields)["base_lr"] for s in (32, 16, 8)]
    assert rates == [1e-10, 1e-12, 1e-14]
    assert dict(EXPERIMENTS["siftflow-fcn8s"].schedule.fields)["base_lr"] == 1e-12


def test_a_stage_starts_from_a_row_that_is_there():
    for name, row in EXPERIMENTS.items():
        for source in row.init:
            for path, _ in source.places:
                if path.startswith("{out}/"):
                    stage = path[len("{out}/") : -len(".caffemodel")]
                    assert stage in EXPERIMENTS and stage != name, (name, path)


def test_a_row_goes_together_by_the_rules_of_plan():
    for row in EXPERIMENTS.values():
        given = dict(head=row.head, at_once=row.at_once, fusion=row.fusion)
        catalog.plan(row.dataset, row.backbone, row.stride, **given)
