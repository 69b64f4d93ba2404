import { defineErrors } from '#src/kernel/index.ts';

export const providerErrors = defineErrors({
  FH_OIDC_REQUEST_REFUSED: {
    status: 400,
    title: 'This app asks for a sign-in in a way that is not allowed',
    hint: 'Go back to the app and try again. For who runs it: compare the request with identity.redirectPaths and identity.signedOutPaths in freehold.app.json.',
  },
  FH_OIDC_NOT_OFFERED: {
    status: 404,
    title: 'The app of this account does not sign people in over OpenID Connect',
    hint: 'For who runs it: "identity": { "kind": "oidc", "redirectPaths": ["/auth/callback"] } in freehold.app.json.',
  },
});
