"""What a test does with buckets of the stand-in, by boto3 and not by our own code.

Usage: bucket.py ENDPOINT COMMAND ...

    make BUCKET [--locked]        a bucket, with Object Lock or without
    put BUCKET KEY TEXT           an object without a lock of its own
    versions BUCKET               a JSON array of {key, version, mode, until, bytes}, every version of every object
    delete BUCKET KEY VERSION     prints the error's code where it is refused, else "deleted"
    sync BUCKET PREFIX FOLDER     copies the objects under a prefix to a folder
"""

import json
import pathlib
import sys

import boto3
from botocore.exceptions import ClientError


def main(endpoint, command, *rest):
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    if command == "make":
        s3.create_bucket(Bucket=rest[0], ObjectLockEnabledForBucket="--locked" in rest)
    elif command == "put":
        s3.put_object(Bucket=rest[0], Key=rest[1], Body=rest[2].encode(), ChecksumAlgorithm="SHA256")
    elif command == "versions":
        print(json.dumps([version(s3, rest[0], v) for v in s3.list_object_versions(Bucket=rest[0]).get("Versions", [])]))
    elif command == "delete":
        try:
            s3.delete_object(Bucket=rest[0], Key=rest[1], VersionId=rest[2])
            print("deleted")
        except ClientError as error:
            print(error.response["Error"]["Code"])
    elif command == "sync":
        bucket, prefix, folder = rest
        for listed in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            path = pathlib.Path(folder, listed["Key"].removeprefix(prefix))
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, listed["Key"], str(path))
    else:
        sys.exit(__doc__)


def version(s3, bucket, listed):
    head = s3.head_object(Bucket=bucket, Key=listed["Key"], VersionId=listed["VersionId"])
    until = head.get("ObjectLockRetainUntilDate")
    return {
        "key": listed["Key"],
        "version": listed["VersionId"],
        "mode": head.get("ObjectLockMode"),
        "until": until and int(until.timestamp()),
        "bytes": listed["Size"],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
