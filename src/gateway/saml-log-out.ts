import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Page, setPageNonce } from '#src/http/index.ts';
import { formMediaType, isBase64Field, isOurRelayState, samlForm } from './saml-answer.ts';
import type { IdentityPort } from './types.ts';

/**
 * Where an identity provider sends browsers for single log-out (SAML bindings 3.4, 3.5), in a frame of its own page too. A request of the provider is judged here: its
 * signature says everything, so no cookie is read, and what a form of any site can do is to hand over a message that the provider signed for this very address. What it
 * answers is a redirection to an address of the connection's settings. An answer of the provider goes to the account page, which hands it on from our own origin, where
 * the cookie is that binds it to its browser.
 */
export function addSamlLogOut(app: FastifyInstance, page: Page, identity: IdentityPort): void {
  const { endFromProvider } = identity;
  if (!endFromProvider) return;
  const config = {
    operation: 'sign_on.take_saml_log_out',
    withoutSession: 'allow',
    takesForeignForms: true,
    mayBeFramed: true,
  } as const;
  const path = '/-/sign-on/saml/log-out/:id';
  const sendPage = (reply: FastifyReply, form = '') =>
    reply
      .type('text/html; charset=utf-8')
      .send(page.indexParts.join(setPageNonce(reply)).replace('</body>', () => `${form}</body>`));
  const end = async (
    request: FastifyRequest<{ Params: { id: string } }>,
    reply: FastifyReply,
    message: Parameters<typeof endFromProvider>[2],
  ) => {
    const next = await endFromProvider(request, request.params.id, message);
    return reply.header('cache-control', 'no-store').redirect(next ?? '/-/signed-out', 303);
  };

  app.register(async (forms) => {
    forms.removeAllContentTypeParsers();
    forms.addContentTypeParser(formMediaType, { parseAs: 'string' }, (_request, body, done) => done(null, body));
    forms.get<{ Params: { id: string } }>(path, { config }, (request, reply) => {
      const { url = '' } = request.raw;
      const rawQuery = url.includes('?') ? url.slice(url.indexOf('?') + 1) : '';
      if (!/(?:^|&)SAMLRequest=/.test(rawQuery)) return sendPage(reply);
      return end(request, reply, { binding: 'redirect', rawQuery });
    });
    forms.post<{ Params: { id: string } }>(path, { config }, (request, reply) => {
      const fields = readFields(request.body);
      // Without them the page says in words that it knows of no sign-out.
      if (!fields) return sendPage(reply.code(400));
      const { isAnswer, message, relayState } = fields;
      if (!isAnswer)
        return end(request, reply, { binding: 'post', message, ...(relayState !== undefined && { relayState }) });
      // Of another kind it is none of ours, and must not be written into a page.
      if (relayState === undefined || !isOurRelayState(relayState)) return sendPage(reply.code(400));
      return sendPage(reply, samlForm({ samlResponse: message, relayState }));
    });
  });
}

/** Undefined: not exactly one message of its kind and at most one RelayState; which of two is meant, nobody knows. */
function readFields(body: unknown): { isAnswer: boolean; message: string; relayState?: string } | undefined {
  if (typeof body !== 'string') return undefined;
  const form = new URLSearchParams(body);
  const answers = form.getAll('SAMLResponse');
  const messages = [...form.getAll('SAMLRequest'), ...answers].map((text) => text.replace(/\r?\n/g, ''));
  const states = form.getAll('RelayState');
  const [message] = messages;
  if (message === undefined || messages.length > 1 || states.length > 1 || !isBase64Field(message)) return undefined;
  return { isAnswer: answers.length === 1, message, ...(states.length === 1 && { relayState: states[0]! }) };
}
