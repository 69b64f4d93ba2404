import { defineErrors } from '#src/kernel/index.ts';

export const httpErrors = defineErrors({
  FH_NOT_FOUND: { status: 404, title: 'There is nothing at this address', hint: 'Check the address.' },
  FH_METHOD_NOT_ALLOWED: { status: 405, title: 'This address does not take this method' },
  FH_REQUEST_TIMEOUT: {
    status: 408,
    title: 'The request did not arrive in time',
    hint: 'Check your connection and try again.',
    retry: 'soon',
  },
  FH_BODY_TOO_LARGE: { status: 413, title: 'What was sent is too large' },
  FH_URL_TOO_LONG: { status: 414, title: 'The address is too long' },
  FH_MEDIA_TYPE: {
    status: 415,
    title: 'The content type is not accepted here',
    hint: 'Send application/json, or multipart/form-data where a file is uploaded.',
  },
  FH_HEADERS_TOO_LARGE: {
    status: 431,
    title: 'The headers of the request are too large',
    hint: 'In a browser: clear the cookies of this site.',
  },
  /** Never sent, only logged: nobody is left to read it. */
  FH_CLIENT_GONE: { status: 499, title: 'The client went away before the answer' },
  FH_PAGE_NOT_BUILT: {
    status: 500,
    title: 'A web page of Freehold is not built',
    hint: 'Build the pages with: npm run build',
  },
});
