import { notApplicable } from './types.ts';

const none =
  "No self-contained token is taken: cookies, links and API tokens are random, sealed or not, and mean nothing unless the tenant's own database knows them. Single sign-on is being built.";

export const tokens = ['V9.1.1', 'V9.1.2', 'V9.1.3', 'V9.2.1', 'V9.2.2', 'V9.2.3', 'V9.2.4'].map((id) =>
  notApplicable(id, none),
);
