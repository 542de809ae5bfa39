"""One defence tried: a twin that is fine-tuned on attacks upon itself, and what an attacker who knows it pays."""
