"""An object store of our own, moto's S3 server, on this machine only."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

BUCKET = "office"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "desk", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1"}


@contextlib.contextmanager
def object_store() -> Iterator[Any]:
    """Run a store with the bucket `BUCKET`, which this process and those that it starts find; fsspec's view of it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with mock.patch.dict(os.environ, {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}"}):
            import s3fs

            system = s3fs.S3FileSystem(use_listings_cache=False)
            system.mkdir(BUCKET)
            yield system
            s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
