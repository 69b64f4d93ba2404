"""An identity provider by Lasso (Debian's python3-lasso): one JSON object on standard input, the responses as a JSON array on standard output."""
import json
import sys

import lasso

asked = json.load(sys.stdin)
responses = []
for mode in asked['modes']:
    server = lasso.Server.newFromBuffers(asked['idpMetadata'], asked['key'], None, asked['certificate'])
    server.signatureMethod = getattr(lasso, 'SIGNATURE_METHOD_' + mode['signature'])
    server.addProviderFromBuffer(lasso.PROVIDER_ROLE_SP, asked['spMetadata'])
    provider = server.getProvider(asked['spEntityId'])
    if mode.get('encryption'):
        provider.setEncryptionMode(lasso.ENCRYPTION_MODE_ASSERTION)
        provider.setEncryptionSymKeyType(getattr(lasso, 'ENCRYPTION_SYM_KEY_TYPE_' + mode['encryption']))
    login = lasso.Login(server)
    login.processAuthnRequestMsg(asked['query'])
    login.validateRequestMsg(True, True)
    now, start, end = asked['now'], asked['notBefore'], asked['notOnOrAfter']
    login.buildAssertion(lasso.SAML2_AUTHN_CONTEXT_PASSWORD_PROTECTED_TRANSPORT, now, now, start, end)
    login.assertion.subject.nameID.content = asked['nameId']
    login.buildAuthnResponseMsg()
    responses.append({'url': login.msgUrl, 'field': login.msgBody})
json.dump(responses, sys.stdout)
