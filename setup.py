"""Which packages Telltale installs: two source roots, and what ships beside them."""

from setuptools import find_packages, setup

BESIDE = {"telltale.precomputed": "precomputed", "telltale_app.assets": "assets", "telltale_app.launch": "app"}
packages = [*find_packages("core"), *find_packages("app", include=["telltale_app*"]), *BESIDE]
setup(
    packages=packages,
    package_dir={"telltale": "core/telltale", "telltale_app": "app/telltale_app", **BESIDE},
)
