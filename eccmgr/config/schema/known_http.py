"""The options of `Http_Listener`."""

from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType

HTTP_LISTENER = ScopeSpec(
    "Http_Listener",
    "where pages, metrics and health are served over HTTP; nowhere if it has no Listen",
    Naming.NEVER,
    options=(
        OptionSpec("Listen", OptionType.TEXT, None, "ADDRESS:PORT; beyond the loopback callers have to sign in"),
        OptionSpec("Prefix", OptionType.TEXT, None, "the path under which a proxy serves the pages: /PATH"),
        OptionSpec("Host_Names", OptionType.LIST, None, "further names of this host in the address of a page"),
        OptionSpec("Token_File", OptionType.PATH, None, "a file of lines USER:TOKEN, with which callers sign in"),
        OptionSpec(
            "Enable_Authentication",
            OptionType.BOOLEAN,
            "false",
            "whether callers sign in with the passwords of AuthScramParameters; needs TLS",
        ),
        OptionSpec(
            "Enable_Authorization",
            OptionType.BOOLEAN,
            "false",
            "whether a role has to allow the command of each page",
        ),
        OptionSpec("TLS_Certificate", OptionType.PATH, None, "the certificate of the listener (PEM)"),
        OptionSpec("TLS_Key", OptionType.PATH, None, "the private key of that certificate (PEM)"),
        OptionSpec("TLS_Client_CA", OptionType.PATH, None, "the authority whose client certificates sign callers in"),
    ),
    locked=True,
)
