"""A stand-in for AWS KMS on loopback: moto with real keys, made right where it differs from AWS.

moto 5.2.5 hashes a DIGEST once more, takes a digest of any length, and lets keys work that are disabled or scheduled for
deletion; AWS does none of the three. Usage: server.py PORT. Prints "ready" once it listens.
"""

import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import ValidationException
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

DIGEST_BYTES = 32

# Whether the call being served carries a digest: the server serves one call at a time.
serving = {"digest": False}


def noting_message_type(handler):
    def handle(self):
        serving["digest"] = self._get_param("MessageType") == "DIGEST"
        return handler(self)

    return handle


def algorithm(message):
    if not serving["digest"]:
        return ec.ECDSA(hashes.SHA256())
    if len(message) != DIGEST_BYTES:
        raise ValidationException(f"Digest is invalid length for algorithm ECDSA_SHA_256: {len(message)} bytes")
    return ec.ECDSA(Prehashed(hashes.SHA256()))


def sign(self, message, signing_algorithm):
    return self.private_key.sign(message, algorithm(message))


def verify(self, message, signature, signing_algorithm):
    try:
        self.private_key.public_key().verify(signature, message, algorithm(message))
        return True
    except InvalidSignature:
        return False


def refuse_unusable(key):
    if key.key_state == "Disabled":
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
    if key.key_state == "PendingDeletion":
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def checking_key(operation):
    def checked(self, key_id, *args, **kwargs):
        refuse_unusable(self.describe_key(key_id))
        return operation(self, key_id, *args, **kwargs)

    return checked


def checking_key_of_ciphertext(decrypt):
    def checked(self, *args, **kwargs):
        plaintext, arn = decrypt(self, *args, **kwargs)
        refuse_unusable(self.describe_key(arn))
        return plaintext, arn

    return checked


def main():
    ECDSAPrivateKey.sign = sign
    ECDSAPrivateKey.verify = verify
    KmsResponse.sign = noting_message_type(KmsResponse.sign)
    KmsResponse.verify = noting_message_type(KmsResponse.verify)
    for name in ("sign", "verify", "encrypt"):
        setattr(KmsBackend, name, checking_key(getattr(KmsBackend, name)))
    KmsBackend.decrypt = checking_key_of_ciphertext(KmsBackend.decrypt)
    server = make_server("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
