"""One server of OpenStack Swift, or its rings. Arguments: folder, and what: "rings" with ports as JSON, or the server with its lifted limits."""

import json
import sys

folder, what, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

if what == 'rings':
    from swift.common.ring import RingBuilder

    for ring, port in options.items():
        builder = RingBuilder(2, 1, 0)
        builder.add_dev({
            'id': 0, 'region': 1, 'zone': 1, 'weight': 1.0, 'device': 'disk', 'meta': '',
            'ip': '127.0.0.1', 'port': port, 'replication_ip': '127.0.0.1', 'replication_port': port,
        })
        builder.rebalance()
        builder.get_ring().save('%s/%s.ring.gz' % (folder, ring))
    sys.exit(0)

from swift.common import utils

# Before anything else reads /etc/swift, which need not exist.
utils.set_swift_dir(folder)

if options.get('conditionalPut'):
    # Swift from 2.36 on takes If-None-Match on PUT; before, its S3 door refuses the header, although everything behind it honours it.
    from swift.common.middleware.s3api.s3request import S3Request

    validate = S3Request._validate_headers

    def validate_as_newer(request):
        condition = request.environ.pop('HTTP_IF_NONE_MATCH', None)
        try:
            validate(request)
        finally:
            if condition is not None:
                request.environ['HTTP_IF_NONE_MATCH'] = condition

    S3Request._validate_headers = validate_as_newer

if options.get('ignoreCondition'):
    # Like the services that have never heard of the header: it is taken, signed, and means nothing.
    from swift.proxy.server import Application

    answer = Application.__call__

    def answer_without_condition(application, environ, start_response):
        if environ['REQUEST_METHOD'] == 'PUT':
            environ.pop('HTTP_IF_NONE_MATCH', None)
        return answer(application, environ, start_response)

    Application.__call__ = answer_without_condition

from swift.common.wsgi import run_wsgi

sys.exit(run_wsgi('%s/%s.conf' % (folder, what), '%s-server' % what))
