"""TLS on a listener: its certificate and key, and the authority for client certificates."""

import hashlib
import ssl
from pathlib import Path

from eccmgr.config.live.options import Tls
from eccmgr.errors import ListenError

_WEAK = ("md5", "sha1")


class TlsContext:
    """The TLS settings of a listener, and the channel binding `tls-server-end-point` (RFC 5929) for SCRAM."""

    def __init__(self, files: Tls, *, client_optional: bool = False) -> None:
        """Read the files; blocks. `client_optional`: a client without a certificate may come too, and proves itself in
        another way. Raises ListenError."""
        self.files = files
        self._client_optional = client_optional
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        self.binding = b""
        self.load(files)

    def load(self, files: Tls) -> None:
        """Take certificates from files, for connections from now on. Raises ListenError."""
        # Imported here: a daemon without TLS does not need it.
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import Encoding

        try:
            self.context.load_cert_chain(files.certificate, files.key)
            if files.client_ca is not None:
                self.context.load_verify_locations(files.client_ca)
                self.context.verify_mode = ssl.CERT_OPTIONAL if self._client_optional else ssl.CERT_REQUIRED
            certificate = x509.load_pem_x509_certificate(Path(files.certificate).read_bytes())
            self.binding = end_point_of(certificate.public_bytes(Encoding.DER))
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            raise ListenError(f"The TLS files of a listener make no sense ({files.certificate}): {reason}") from None
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ListenError(f"The TLS files of a listener cannot be read ({files.certificate}): {reason}") from None
        self.files = files


def end_point_of(der: bytes) -> bytes:
    """The hash of a certificate with the algorithm of its signature, and SHA-256 in place of a weak one."""
    from cryptography import x509

    algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    name = "sha256" if algorithm is None or algorithm.name in _WEAK else algorithm.name
    return hashlib.new(name, der).digest()
