"""Language codes that a hub accepts in a card: ISO 639-1, and ISO 639-3 for languages that have no other."""

TWO_LETTERS = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja
    jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
    nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq
    sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """.split()
)
THREE_LETTERS = frozenset(
    """
    ace ang arc arz ast awa azb bar bcl ceb chr ckb crh csb dsb eml ext frp frr fur gan gom got hak haw hif hsb ilo
    jbo kab kbd koi krc lad lez lij lmo lzh mai mdf mhr min mrj mwl myv mzn nah nan nap nds nov nso pag pam pap pcd
    pms pnb sah sat scn sco shn smn szl tet tpi tyv udm vec vep vls war wuu xal xmf yue zea
    """.split()
)


def code(language: str) -> str:
    """Return the code of a language as a hub accepts it: "en" for "en-GB" and "EN", "" for what is no code."""
    first = language.strip().replace("_", "-").partition("-")[0].lower()
    return first if first in TWO_LETTERS | THREE_LETTERS else ""
