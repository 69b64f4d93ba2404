import type { Letter, MailNotice, MailOrder, MailTenant } from './types.ts';

interface Draft {
  readonly subject: string;
  /** Before the link. */
  readonly lead: readonly string[];
  readonly link?: { readonly url: string; readonly label: string };
  /** After it. */
  readonly rest: readonly string[];
}

/** Writes the message: plain text, and the same as simple HTML. */
export function writeLetter(order: MailOrder, tenant: MailTenant): Letter {
  const draft = draftOf(order, tenant);
  const greeting = order.name && isPlainName(order.name) ? `Hello ${order.name},` : 'Hello,';
  const footer = `${tenant.title} · ${tenant.url}`;
  const { link } = draft;
  const text = [greeting, ...draft.lead, ...(link ? [link.url] : []), ...draft.rest, `-- \n${footer}`].join('\n\n');
  const paragraph = (words: string) => `<p style="margin:0 0 16px">${escapeHtml(words)}</p>`;
  const button = link
    ? `<p style="margin:0 0 16px"><a href="${escapeHtml(link.url)}" style="display:inline-block;background:#14532d;color:#ffffff;padding:10px 18px;border-radius:4px;text-decoration:none">${escapeHtml(link.label)}</a></p>
<p style="margin:0 0 16px;font-size:13px;color:#57534e">Or open this address: ${escapeHtml(link.url)}</p>`
    : '';
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(draft.subject)}</title></head>
<body style="margin:0;padding:24px;background:#faf8f3;color:#1c1917;font:16px/1.5 sans-serif">
<div style="max-width:560px;margin:0 auto">
${[greeting, ...draft.lead].map(paragraph).join('\n')}
${button}
${draft.rest.map(paragraph).join('\n')}
<p style="margin:24px 0 0;border-top:1px solid #d6d3d1;padding-top:12px;font-size:13px;color:#57534e">${escapeHtml(footer)}</p>
</div></body></html>
`;
  return {
    to: order.to,
    subject: draft.subject,
    fromName: tenant.title,
    text: `${text}\n`,
    html,
    ...('token' in order && { secret: order.token }),
  };
}

function draftOf(order: MailOrder, { title, url }: MailTenant): Draft {
  switch (order.kind) {
    case 'invitation': {
      const inviter = order.invitedBy && isPlainName(order.invitedBy) ? order.invitedBy : undefined;
      const invites = inviter ? `${inviter} invites you to ${title}` : `You are invited to ${title}`;
      return {
        subject: invites,
        lead: [`${invites}. Choose a password to join:`],
        link: { url: `${url}/-/invitations/${order.token}`, label: `Join ${title}` },
        rest: [
          `The link works once, until ${formatMoment(order.expiresAt)}.`,
          'You did not expect this? Then do nothing, and nothing happens.',
        ],
      };
    }
    case 'password_reset':
      return {
        subject: `Choose a new password for ${title}`,
        lead: [`Somebody, probably you, asked for a new password for ${title}. Choose it here:`],
        // In the fragment: it reaches no server's log and no Referer.
        link: { url: `${url}/-/reset-password#token=${order.token}`, label: 'Choose a new password' },
        rest: [
          `The link works once, until ${formatMoment(order.expiresAt)}.`,
          'It was not you? Then do nothing: your password stays as it is, and nobody but you has received this link.',
        ],
      };
    case 'password_changed':
      return notice(order, `Your password for ${title} was changed`, url, 'ask for a new password at once');
    case 'password_was_reset':
      return notice(
        order,
        `You have a new password for ${title}`,
        url,
        'somebody can read your mail: secure your mailbox first, then ask for a new password',
        'It was set with a link sent to this address. Everybody who was signed in as you was signed out.',
      );
    case 'new_sign_in':
      return notice(
        order,
        `New sign-in to ${title}`,
        url,
        'ask for a new password at once, which signs everybody out',
        'Somebody signed in as you with a browser that was not used here before.',
      );
    case 'session_replayed':
      return notice(
        order,
        `You were signed out of ${title}`,
        url,
        'ask for a new password',
        'A browser used a key of your session that had been replaced. It may have been copied, so the session was ended.',
      );
    case 'second_factor_enrolled':
      return notice(
        order,
        `An authenticator app was set up for ${title}`,
        url,
        `somebody was signed in as you: tell an administrator of ${title}, and ask for a new password`,
        'Signing in takes a code of it from now on, or another second factor that you have. If it is your first, your other devices were signed out.',
      );
    case 'second_factor_removed':
      return notice(
        order,
        `Your authenticator app for ${title} was turned off`,
        url,
        'ask for a new password at once, and set up an authenticator app again',
        'It was turned off with your password and a second factor. If you have no passkey, your password alone signs you in now.',
      );
    case 'second_factor_reset':
      return notice(
        order,
        `Your second factors for ${title} were removed`,
        url,
        `tell an administrator of ${title}, and ask for a new password`,
        'An administrator removed passkeys, authenticator app and recovery codes from your account and signed you out everywhere. You can set them up again in your account.',
        'You had asked for it?',
      );
    case 'second_factor_guessed':
      return notice(
        order,
        `Wrong codes at the sign-in to ${title}`,
        url,
        'somebody knows your password: ask for a new one at once',
        'Somebody typed your password and then several wrong codes. Nobody was signed in by that.',
      );
    case 'recovery_code_used':
      return notice(
        order,
        `A recovery code for ${title} was used`,
        url,
        'ask for a new password at once, and make new recovery codes in your account',
        'One of your recovery codes was used in place of a code of your app. It is worthless now.',
      );
    case 'recovery_codes_replaced':
      return notice(
        order,
        `You have new recovery codes for ${title}`,
        url,
        'ask for a new password at once, and make new recovery codes in your account',
        'New recovery codes were made for your account. The old ones are worthless.',
      );
    case 'passkey_added':
      return notice(
        order,
        `New passkey for ${title}`,
        url,
        'remove it in your account and ask for a new password at once',
        'A passkey was added to your account. It signs in without a password.',
      );
    case 'passkey_removed':
      return notice(
        order,
        `A passkey for ${title} was removed`,
        url,
        'ask for a new password at once',
        'A passkey was removed from your account, with your password and a second factor. If it was your last second factor, your password alone signs you in now.',
      );
    case 'passkey_copied':
      return notice(
        order,
        `A passkey for ${title} was refused`,
        url,
        'remove that passkey in your account, and make another',
        'One of your passkeys was shown with a counter that should have grown and had not. Somebody may have a copy of it. Nobody was signed in by that.',
        'You restored the device that it is on from a backup?',
      );
    case 'api_token_created':
      return notice(
        order,
        `New API token for ${title}`,
        url,
        'ask for a new password, which revokes all your tokens',
        'An API token was made in your name. A program that holds it can do in the app what you may do, until it ends or you revoke it on your account page.',
      );
  }
}

function notice(
  order: MailNotice,
  subject: string,
  url: string,
  remedy: string,
  what?: string,
  question = 'It was you?',
): Draft {
  const facts = [
    `When: ${formatMoment(order.at)}`,
    ...(order.address ? [`From: ${order.address}`] : []),
    ...(order.browser ? [`With: ${order.browser}`] : []),
  ];
  return {
    subject,
    lead: [what ?? `${subject}.`, facts.join('\n')],
    rest: [`${question} Then there is nothing to do. If not, ${remedy}: ${url}/-/forgot-password`],
  };
}

/** People choose their own names; one that a mail program would make a link of is left out, so that nobody advertises by invitations. */
function isPlainName(name: string): boolean {
  return !/[/@\\<>]|\.\p{L}{2}|www\.|:\S/iu.test(name);
}

/** `22 November 2026, 13:00 UTC` */
function formatMoment(iso: string): string {
  const moment = new Date(iso);
  const day = moment.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${moment.toISOString().slice(11, 16)} UTC`;
}

function escapeHtml(text: string): string {
  const signs: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replaceAll(/[&<>"']/g, (sign) => signs[sign]!).replaceAll('\n', '<br>');
}
