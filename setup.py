"""Which packages Telltale installs: two source roots, and what ships beside them."""

import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

BESIDE = {
    "telltale.precomputed": "precomputed",
    "telltale_app.assets": "assets",
    "telltale_app.docs": "docs",
    "telltale_app.launch": "app",
}


class Build(build_py):
    """Leaves out the script among the pictures, which is for a checkout, and modules that are gone."""

    def run(self) -> None:
        """Build into an empty folder: what an earlier build left there would be installed as well."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return a package's modules."""
        return [] if package == "telltale_app.assets" else super().find_package_modules(package, package_dir)


setup(
    cmdclass={"build_py": Build},
    packages=[*find_packages("core"), *find_packages("app", include=["telltale_app*"]), *BESIDE],
    package_dir={"telltale": "core/telltale", "telltale_app": "app/telltale_app", **BESIDE},
)
