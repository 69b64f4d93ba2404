"""OpenStack Swift in one folder: makes the rings, then runs its four servers, each in a process of its own, until it is told to end.

Arguments: the folder with the configuration, the ports, the options of swift.ts (both JSON).
"""

import ctypes
import json
import os
import signal
import sys

from swift.common import utils

folder, ports, options = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])

# Before anything else reads /etc/swift, which need not exist.
utils.set_swift_dir(folder)

# All imports before the fork: they take longest.
import swift.account.server  # noqa: E402,F401
import swift.container.server  # noqa: E402,F401
import swift.obj.server  # noqa: E402,F401
from swift.common.middleware.s3api.s3request import S3Request  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import run_wsgi  # noqa: E402
from swift.proxy.server import Application  # noqa: E402

PR_SET_PDEATHSIG = 1


def make_ring(name, port):
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({
        'id': 0, 'region': 1, 'zone': 1, 'weight': 1.0, 'device': 'disk', 'meta': '',
        'ip': '127.0.0.1', 'port': port, 'replication_ip': '127.0.0.1', 'replication_port': port,
    })
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (folder, name))


def take_conditions():
    """Swift from 2.36 on takes If-None-Match on PUT. Before, its S3 door refuses the header, although everything behind it honours it."""
    validate = S3Request._validate_headers

    def validate_as_newer(request):
        condition = request.environ.pop('HTTP_IF_NONE_MATCH', None)
        try:
            validate(request)
        finally:
            if condition is not None:
                request.environ['HTTP_IF_NONE_MATCH'] = condition

    S3Request._validate_headers = validate_as_newer


def ignore_conditions():
    """Like the services that have never heard of the header: it is taken, signed, and means nothing."""
    answer = Application.__call__

    def answer_without_condition(application, environ, start_response):
        if environ['REQUEST_METHOD'] == 'PUT':
            environ.pop('HTTP_IF_NONE_MATCH', None)
        return answer(application, environ, start_response)

    Application.__call__ = answer_without_condition


def start(kind):
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os._exit(run_wsgi('%s/%s.conf' % (folder, kind), '%s-server' % kind) or 0)


for ring in ('account', 'container', 'object'):
    make_ring(ring, ports[ring])
if options.get('conditionalPut'):
    take_conditions()
if options.get('ignoreCondition'):
    ignore_conditions()

servers = [start(kind) for kind in ports]
# Ends when it is told to, or when one of them has ended.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    os.wait()
    sys.exit(1)
finally:
    for pid in servers:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
