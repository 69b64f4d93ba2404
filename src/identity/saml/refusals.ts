/**
 * Why a message was refused: a closed list. The sentences are for the administrator who sets the connection up; they say what to look at
 * and hold nothing of the document. `unavailable` is the only one that is about us and not about the message.
 */
export const refusals = {
  too_large: 'The message is larger than 256 kB. Send fewer attributes (for example only the groups that matter).',
  not_base64: 'What arrived is not a SAML message: it is not plain base64.',
  not_utf8: 'The message is not plain UTF-8 text, or it has characters that XML forbids.',
  malformed: 'The message is not well-formed XML.',
  doctype: 'The message has a document type (DOCTYPE), which SAML forbids.',
  forbidden_markup:
    'The message has comments, processing instructions or CDATA sections; genuine identity providers send none.',
  too_complex: 'The message is nested too deeply or has too many elements, attributes or namespaces.',
  overran: 'Checking the message took too long and was stopped.',
  unavailable: 'The message could not be checked at the moment. Try again.',
  not_saml: 'The message is not the kind of SAML 2.0 message that belongs here.',
  structure:
    'The message is not built as SAML 2.0 prescribes: something is missing, appears twice, or does not belong there.',
  version: 'The message is not of SAML version 2.0.',
  duplicate_id: 'Two elements of the message have the same ID, or an ID is not a valid one.',
  no_certificate: 'The connection has no certificate of the identity provider. Add the one that it signs with.',
  certificate_unusable:
    'No certificate of the connection can be used: they have expired, are not valid yet, or their keys are too weak (RSA below 2048 bits, other kinds than RSA and EC P-256, P-384, P-521).',
  unsigned: 'Neither the response nor the assertion is signed. Turn on signing at the identity provider.',
  signature_structure:
    'The signature is not built as SAML prescribes: exactly one reference, to the element that it stands in.',
  signature_algorithm:
    'The signature uses an algorithm that is not allowed. Choose RSA or ECDSA with SHA-256 or better.',
  signature_invalid:
    'The signature was not made with the certificate of the connection, or the message was changed on its way. Compare the certificate with the one that the identity provider uses now.',
  issuer: 'The message is from another identity provider than the one of the connection. Compare the entity ID.',
  status: 'The identity provider answered that the sign-in did not succeed.',
  destination: 'The message was meant for another address than ours. Compare the ACS URL at the identity provider.',
  recipient:
    'The assertion was meant for another address than ours. Compare the recipient (ACS URL) at the identity provider.',
  audience:
    'The assertion was meant for another service. Compare the audience (our entity ID) at the identity provider.',
  conditions: 'The assertion has no conditions, or conditions that are not understood.',
  confirmation:
    'The assertion does not say in the way of web sign-in (bearer) for whom, where and until when it holds.',
  expired: 'The message is no longer valid. Compare the clocks of the identity provider and of this server.',
  not_yet_valid: 'The message is not valid yet. Compare the clocks of the identity provider and of this server.',
  lifetime: 'The message is valid for longer than a day. Shorten its lifetime at the identity provider.',
  time: 'A time in the message is missing or not written as SAML prescribes (UTC, ending in Z).',
  session_expired: 'The session at the identity provider is already over.',
  unsolicited:
    'The message answers no request of ours, and sign-in from the identity provider’s side is not turned on.',
  in_response_to: 'The message answers another request than the one of this browser, or one that is no longer open.',
  name_id: 'The name of the person (NameID) is missing, empty, too long, or has characters that are not allowed.',
  name_id_format:
    'The name of the person (NameID) is of another format than the connection was set up with. Compare the NameID format.',
  attributes: 'The attributes are not as SAML prescribes, or there are too many.',
  authn_statement: 'The assertion does not say exactly once how and when the person was authenticated.',
  encryption_algorithm:
    'The assertion is encrypted in a way that is not allowed. Choose AES-GCM (128 or 256) with RSA-OAEP; AES-CBC is accepted only when the whole response is signed too.',
  encryption_key: 'The assertion is encrypted, but this connection has no key to open it.',
  decryption:
    'The encrypted assertion could not be opened. Compare the encryption certificate at the identity provider with ours.',
  metadata: 'The metadata do not describe exactly one SAML 2.0 identity provider.',
  metadata_entity_id: 'The metadata have no valid entity ID.',
  metadata_entity_id_changed:
    'The metadata are of another identity provider than the one of the connection (entity ID).',
  metadata_sso: 'The metadata name no sign-in address with the HTTP-Redirect binding.',
  metadata_url: 'An address in the metadata is not a plain https address.',
  metadata_certificate: 'The metadata have no usable signing certificate.',
  metadata_expired: 'The metadata are no longer valid. Get current ones from the identity provider.',
} as const;

export type RefusalCode = keyof typeof refusals;
