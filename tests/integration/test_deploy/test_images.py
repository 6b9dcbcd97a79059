"""The example's charts run nothing but what is scanned and signed. Helm is the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aksci.config.loader import load_config
from aksci.deploy.kubernetes.manifest_images import check_images, images_of, parse_manifests
from aksci.deploy.state.desired import values_files
from aksci.deploy.targets.helm import template_argv
from aksci.oci.references import ImageRef

SHOP = Path(__file__).parents[3] / "examples" / "shop"


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_the_shop_s_charts_run_the_release_s_images_only(toolbox, runner, environment):
    config = load_config(SHOP / "aksci.toml")
    settings = config.environments[environment]
    found = 0
    for name, service in config.services.items():
        images = {
            key: ImageRef("localhost:5000", f"shop/{image}", "sha256:" + "1" * 64)
            for key, image in service.images.items()
        }
        values = values_files(SHOP, settings, name)
        argv = template_argv(
            name, SHOP / service.chart, namespace="shop", values=values, images=images
        )
        manifests = parse_manifests(name, runner.run([toolbox.ensure("helm"), *argv]).stdout)
        check_images(name, manifests, {str(each) for each in images.values()})
        found += len([image for each in manifests for image in images_of(each)])
    assert found >= len(config.services)
