/** Every refusal that Desk makes, in one place: code, status and words. The codes are listed for the page in api.ts. */
import { AppError } from '../sdk/index.ts';
import type { DeskErrorCode } from './api.ts';

function refuse(
  status: number,
  code: DeskErrorCode,
  message: string,
  extra: { hint?: string; fields?: Readonly<Record<string, string>> } = {},
): AppError {
  return new AppError(status, code, message, extra);
}

export const badQuery = (field: string, reason: string): AppError =>
  refuse(400, 'DESK_QUERY_INVALID', `"${field}" ${reason}.`, { fields: { [field]: reason } });

export const badInput = (field: string, reason: string): AppError =>
  refuse(400, 'DESK_INPUT_INVALID', `"${field}" ${reason}.`, { fields: { [field]: reason } });

export const forbidden = (message: string): AppError => refuse(403, 'DESK_FORBIDDEN', message);

export const projectNotFound = (): AppError => refuse(404, 'DESK_PROJECT_NOT_FOUND', 'There is no such project.');
export const itemNotFound = (): AppError =>
  refuse(404, 'DESK_ITEM_NOT_FOUND', 'There is no such item. It may have been deleted.');
export const commentNotFound = (): AppError =>
  refuse(404, 'DESK_COMMENT_NOT_FOUND', 'There is no such comment. It may have been deleted.');
export const attachmentNotFound = (): AppError =>
  refuse(404, 'DESK_ATTACHMENT_NOT_FOUND', 'There is no such attachment. It may have been deleted.');
export const importNotFound = (): AppError => refuse(404, 'DESK_IMPORT_NOT_FOUND', 'There is no such import.');

export const projectKeyTaken = (key: string): AppError =>
  refuse(409, 'DESK_PROJECT_KEY_TAKEN', `Another project has the key ${key}.`, {
    hint: 'Choose another key; archived projects keep theirs.',
    fields: { key: 'is taken' },
  });
export const projectChanged = (): AppError =>
  refuse(409, 'DESK_PROJECT_CHANGED', 'Somebody changed this project meanwhile.', {
    hint: 'Load it again and repeat your change.',
  });
export const projectArchived = (key: string): AppError =>
  refuse(409, 'DESK_PROJECT_ARCHIVED', `Project ${key} is archived; its items can be read, not changed.`, {
    hint: 'An administrator can take it out of the archive.',
  });
/** @param version as it is now */
export const itemChanged = (version: number): AppError =>
  refuse(409, 'DESK_ITEM_CHANGED', 'Somebody changed this item meanwhile.', {
    hint: 'Look at the item as it is now and repeat your change.',
    fields: { version: `is ${version} now` },
  });
export const commentChanged = (): AppError =>
  refuse(409, 'DESK_COMMENT_CHANGED', 'This comment was edited meanwhile.', {
    hint: 'Load it again and repeat your edit.',
  });
export const moveTargetGone = (): AppError =>
  refuse(409, 'DESK_MOVE_TARGET_GONE', 'The card you moved this one next to is no longer in that column.', {
    hint: 'Load the column again.',
  });
export const importState = (message: string): AppError => refuse(409, 'DESK_IMPORT_STATE', message);
export const limitReached = (message: string): AppError => refuse(409, 'DESK_LIMIT_REACHED', message);

export const assigneeUnknown = (): AppError =>
  refuse(422, 'DESK_ASSIGNEE_UNKNOWN', 'The assignee is not an active user here.', {
    fields: { assigneeId: 'is not an active user' },
  });
export const importFile = (message: string, hint?: string): AppError =>
  refuse(422, 'DESK_IMPORT_FILE', message, hint === undefined ? {} : { hint });
export const importMapping = (fields: Readonly<Record<string, string>>): AppError =>
  refuse(422, 'DESK_IMPORT_MAPPING', 'This mapping cannot be used.', { fields });
