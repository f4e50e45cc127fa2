"""A stand-in for AWS on loopback: S3 as moto has it, and KMS with real keys, made right where it differs from AWS.

moto 5.2.5 hashes a DIGEST once more, takes a digest of any length, and lets keys work that are disabled or scheduled for
deletion; AWS does none of the three. Usage: server.py PORT. Prints "ready" once it listens.

What goes wrong with a real KMS is switched on by `POST /switches` with a JSON object of some of these; the others fall back
to what they are at the start:

    latency_ms   every call takes so much longer; at the start 0
    throttle     so many of the next calls are answered with ThrottlingException; -1 is all; at the start 0
    disabled     every key is disabled; at the start false
    wrong_key    signatures are another key's; at the start false
    s            "as-signed" (about half are high, as in AWS), "high", or "low"; at the start "as-signed"

`GET /switches` answers with them and with `signatures`, how many were made.
"""

import json
import sys
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import ValidationException
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

DIGEST_BYTES = 32
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

AT_START = {"latency_ms": 0, "throttle": 0, "disabled": False, "wrong_key": False, "s": "as-signed"}
switches = dict(AT_START)
counted = {"signatures": 0}
OTHER_KEY = ec.generate_private_key(ec.SECP256K1())

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
    counted["signatures"] += 1
    key = OTHER_KEY if switches["wrong_key"] else self.private_key
    r, s = decode_dss_signature(key.sign(message, algorithm(message)))
    is_high = s > CURVE_ORDER // 2
    if switches["s"] != "as-signed" and is_high != (switches["s"] == "high"):
        s = CURVE_ORDER - s
    return encode_dss_signature(r, s)


def verify(self, message, signature, signing_algorithm):
    try:
        self.private_key.public_key().verify(signature, message, algorithm(message))
        return True
    except InvalidSignature:
        return False


def refuse_unusable(key):
    if switches["disabled"] or key.key_state == "Disabled":
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


class Switched:
    """The application behind its switches."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/switches":
            if environ["REQUEST_METHOD"] == "POST":
                length = int(environ.get("CONTENT_LENGTH") or 0)
                asked = json.loads(environ["wsgi.input"].read(length))
                if unknown := asked.keys() - AT_START.keys():
                    return answer(start_response, "400 Bad Request", {"unknown": sorted(unknown)})
                switches.update(AT_START | asked)
            return answer(start_response, "200 OK", switches | counted)
        time.sleep(switches["latency_ms"] / 1000)
        if switches["throttle"]:
            switches["throttle"] -= switches["throttle"] > 0
            body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return answer(start_response, "400 Bad Request", body)
        return self.application(environ, start_response)


def answer(start_response, status, body):
    start_response(status, [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps(body).encode()]


def main():
    ECDSAPrivateKey.sign = sign
    ECDSAPrivateKey.verify = verify
    KmsResponse.sign = noting_message_type(KmsResponse.sign)
    KmsResponse.verify = noting_message_type(KmsResponse.verify)
    for name in ("sign", "verify", "encrypt"):
        setattr(KmsBackend, name, checking_key(getattr(KmsBackend, name)))
    KmsBackend.decrypt = checking_key_of_ciphertext(KmsBackend.decrypt)
    server = make_server("127.0.0.1", int(sys.argv[1]), Switched(DomainDispatcherApplication(create_backend_app)))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
