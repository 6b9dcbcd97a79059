"""References mean the same however they are written, and strange ones mean nothing."""

from __future__ import annotations

import pytest

from aksci.cascade.dependents.recorded_names import Names, TagName, is_stable

HERE = TagName("", "shop/base", "latest")


@pytest.mark.parametrize(
    ("host", "reference"),
    [
        ("shop.azurecr.io", "shop.azurecr.io/shop/base"),
        ("shop.azurecr.io", "SHOP.azurecr.io:443/shop/base:latest"),
        ("shop.azurecr.io", "shop/base"),
        ("shop.azurecr.io", "index.docker.io/shop/base"),
        ("localhost:5000", "127.0.0.1:5000/shop/base"),
        ("127.0.0.1:5000", "[::1]:5000/shop/base"),
    ],
)
def test_names_of_one_image_of_this_registry(host, reference):
    assert Names(host, ["shop/base"]).place(reference) == HERE


@pytest.mark.parametrize(
    ("host", "reference"),
    [
        ("shop.azurecr.io", "pay.azurecr.io/shop/base"),
        ("shop.azurecr.io", "shop.azurecr.io:8443/shop/base"),
        ("localhost:5000", "localhost:5001/shop/base"),
        ("localhost:5000", "shop/other"),
    ],
)
def test_names_of_images_of_another_registry(host, reference):
    place = Names(host, ["shop/base"]).place(reference)
    assert place
    assert place.registry


@pytest.mark.parametrize("reference", ["", "a b", "a/B", f"shop/base@sha256:{'0' * 64}", "x:y:z"])
def test_what_is_pinned_or_no_reference_means_nothing(reference):
    assert Names("r:1", ["shop/base"]).place(reference) is None


@pytest.mark.parametrize("reference", ["[:::::]:5/x", "[::gg]/x", "x:99999999/y"])
def test_a_strange_host_is_just_another_one(reference):
    place = Names("localhost:5000", []).place(reference)
    assert place is None or place.registry


@pytest.mark.parametrize("tag", ["latest", "1.2.3", "in-progress", "unchecked-1", "cache-x", "r-1"])
def test_a_tag_that_somebody_may_have_chosen_is_stable(tag):
    assert is_stable(tag)
