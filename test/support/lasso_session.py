"""An identity provider by Lasso (Debian's python3-lasso) for one person: a JSON object per line in, one per line out. The first line sets it up."""
import json
import sys

import lasso

setup = json.loads(sys.stdin.readline())
server = lasso.Server.newFromBuffers(setup['idpMetadata'], setup['key'], None, setup['certificate'])
server.signatureMethod = lasso.SIGNATURE_METHOD_RSA_SHA256
server.addProviderFromBuffer(lasso.PROVIDER_ROLE_SP, setup['spMetadata'])
session = None
logout = None

for line in sys.stdin:
    asked = json.loads(line)
    answer = {}
    try:
        if asked['do'] == 'signIn':
            login = lasso.Login(server)
            login.processAuthnRequestMsg(asked['query'])
            login.validateRequestMsg(True, True)
            login.buildAssertion(lasso.SAML2_AUTHN_CONTEXT_PASSWORD_PROTECTED_TRANSPORT, asked['now'], asked['now'], asked['notBefore'], asked['notOnOrAfter'])
            login.assertion.subject.nameID.content = asked['nameId']
            login.assertion.authnStatement[0].sessionIndex = asked['sessionIndex']
            login.buildAuthnResponseMsg()
            session = login.session.dump()
            answer = {'url': login.msgUrl, 'field': login.msgBody}
        elif asked['do'] == 'signOut':
            logout = lasso.Logout(server)
            logout.setSessionFromDump(session)
            logout.initRequest(setup['spEntityId'], getattr(lasso, 'HTTP_METHOD_' + asked['binding']))
            logout.msgRelayState = asked['relayState']
            logout.buildRequestMsg()
            answer = {'url': logout.msgUrl, 'field': logout.msgBody}
        elif asked['do'] == 'takeAnswer':
            logout.processResponseMsg(asked['query'])
            answer = {'status': logout.response.status.statusCode.value, 'relayState': logout.msgRelayState}
        elif asked['do'] == 'takeRequest':
            taken = lasso.Logout(server)
            taken.setSessionFromDump(session)
            taken.processRequestMsg(asked['query'])
            taken.validateRequest()
            taken.buildResponseMsg()
            answer = {'url': taken.msgUrl, 'sessionIndex': taken.request.sessionIndex, 'nameId': taken.request.nameId.content}
    except lasso.Error as error:
        answer = {'error': str(error)}
    print(json.dumps(answer), flush=True)
