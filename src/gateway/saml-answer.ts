import type { FastifyInstance } from 'fastify';
import { type Page, setPageNonce } from '#src/http/index.ts';

/**
 * Takes what an identity provider has the browser post (SAML bindings 3.5) and answers with the account page, which hands it on from our own origin: only there are
 * the cookies with it that bind a sign-in to its browser, all of them SameSite=Strict. Nothing is looked up, kept, or read from a cookie here, so a form of any site
 * may come. What is written into the page is base64 and our own kind of token, so there is nothing to escape.
 */
export function addSamlAnswer(app: FastifyInstance, page: Page): void {
  app.register(async (forms) => {
    forms.removeAllContentTypeParsers();
    forms.addContentTypeParser(formMediaType, { parseAs: 'string' }, (_request, body, done) => done(null, body));
    forms.post(
      '/-/sign-on/saml',
      { config: { operation: 'sign_on.hand_on_saml', withoutSession: 'allow', takesForeignForms: true } },
      async (request, reply) => {
        const fields = readFields(request.body);
        // Without them the page says in words that this sign-in cannot go on.
        const html = page.indexParts.join(setPageNonce(reply));
        return reply
          .code(fields ? 200 : 400)
          .type('text/html; charset=utf-8')
          .send(fields ? html.replace('</body>', () => `${samlForm(fields)}</body>`) : html);
      },
    );
  });
}

export const formMediaType = 'application/x-www-form-urlencoded';

interface Fields {
  readonly samlResponse: string;
  readonly relayState: string;
}

/** Undefined: not exactly one of each, or not of its kind. Which of two is meant, nobody knows. */
function readFields(body: unknown): Fields | undefined {
  if (typeof body !== 'string') return undefined;
  const form = new URLSearchParams(body);
  const [responses, states] = [form.getAll('SAMLResponse'), form.getAll('RelayState')];
  if (responses.length !== 1 || states.length !== 1) return undefined;
  // Base64 may be broken into lines.
  const samlResponse = responses[0]!.replace(/\r?\n/g, '');
  const relayState = states[0]!;
  if (!isBase64Field(samlResponse) || !isOurRelayState(relayState)) return undefined;
  return { samlResponse, relayState };
}

export const isBase64Field = (text: string) => /^[A-Za-z0-9+/]+={0,2}$/.test(text);

export const isOurRelayState = (text: string) => /^[A-Za-z0-9_-]{43}$/.test(text);

/** For values that were looked at: nothing is escaped. */
export const samlForm = ({ samlResponse, relayState }: Fields) =>
  `<form hidden id="saml-answer"><input type="hidden" name="samlResponse" value="${samlResponse}"><input type="hidden" name="relayState" value="${relayState}"></form>`;
