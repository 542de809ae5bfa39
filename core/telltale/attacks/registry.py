"""The attacks by name: one import and one entry each. Importing this module never imports torch."""

from __future__ import annotations

from telltale.attacks.base import AnyAttack
from telltale.attacks.methods import (
    adaptive,
    adaptive_square,
    apgd_ce,
    apgd_dlr,
    bim,
    boundary,
    cw,
    cw_opt,
    ddn,
    deepfool,
    ead,
    fgsm,
    gradient,
    graybox,
    hopskipjump,
    jsma,
    lbfgs,
    mifgsm,
    onepixel,
    pgd,
    pgd_l2,
    square,
)
from telltale.base.errors import InputError

ATTACKS: dict[str, AnyAttack] = {
    "fgsm": fgsm.SPEC,
    "bim": bim.SPEC,
    "pgd": pgd.SPEC,
    "pgd_l2": pgd_l2.SPEC,
    "mifgsm": mifgsm.SPEC,
    "deepfool": deepfool.SPEC,
    "cw": cw.SPEC,
    "onepixel": onepixel.SPEC,
    "gradient": gradient.SPEC,
    "ead": ead.SPEC,
    "boundary": boundary.SPEC,
    "lbfgs": lbfgs.SPEC,
    "jsma": jsma.SPEC,
    "adaptive": adaptive.SPEC,
    "cw_opt": cw_opt.SPEC,
    "graybox": graybox.SPEC,
    "graybox_l2": graybox.SPEC_L2,
    "apgd_ce": apgd_ce.SPEC,
    "apgd_dlr": apgd_dlr.SPEC,
    "square": square.SPEC,
    "ddn": ddn.SPEC,
    "hopskipjump": hopskipjump.SPEC,
    "adaptive_square": adaptive_square.SPEC,
}


def get_attack(name: str) -> AnyAttack:
    """Return the registry entry of an attack.

    Raises
    ------
    InputError
        If there is no attack of that name.
    """
    if name not in ATTACKS:
        raise InputError(f"There is no attack '{name}'. Known attacks: {', '.join(ATTACKS)}.")
    return ATTACKS[name]
