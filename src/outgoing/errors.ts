import { defineErrors } from '#src/kernel/index.ts';

/**
 * What the admin of a tenant may know of a request that failed. That a name does not exist, that it leads into a network of the operator and that nobody answers there
 * is one error: whoever may name addresses must not learn from the words what there is inside. Nothing that the server sent is ever quoted.
 */
export const outgoingErrors = defineErrors({
  FH_OUTGOING_URL_REFUSED: {
    status: 422,
    title: 'Freehold does not fetch this address',
    hint: 'Enter an address that begins with https://, with the name of a public server and nothing else before its path.',
  },
  FH_OUTGOING_NOT_REACHED: {
    status: 502,
    title: 'The server of this address cannot be reached',
    hint: 'Check the name. Servers that are not on the public internet have to be allowed by the operator (FREEHOLD_OUTGOING_ALLOW).',
    retry: 'later',
  },
  FH_OUTGOING_CERTIFICATE: {
    status: 502,
    title: 'The certificate of the server is not trusted',
    hint: 'The certificate has to be for the name in the address, in date, and from an authority that browsers or the operator know.',
    retry: 'later',
  },
  FH_OUTGOING_REDIRECTED: {
    status: 502,
    title: 'The server sends to another address',
    hint: 'Enter the address at which the document itself is; redirects are not followed.',
  },
  FH_OUTGOING_TIMEOUT: { status: 504, title: 'The server did not answer in time', retry: 'later' },
  FH_OUTGOING_TOO_LARGE: { status: 502, title: 'The answer of the server is too large' },
  FH_OUTGOING_ANSWER_REFUSED: { status: 502, title: 'The answer of the server cannot be used', retry: 'later' },
  FH_OUTGOING_BUSY: {
    status: 503,
    title: 'Too many requests to other servers are under way',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_OUTGOING_ALLOW_INVALID: {
    status: 500,
    title: 'This is no server that may be allowed',
    hint: 'Write a name, a name with a port, an address or a range: idp.example.internal, idp.example.internal:8443, 10.1.2.3:8443, 10.1.0.0/16.',
  },
});
