import { isId } from '#src/kernel/index.ts';
import { groupAttributes, groupSchema } from './attributes.ts';
import { scimErrors } from './errors.ts';
import { matches, type PatchPath, parsePatchPath } from './filter.ts';
import { type Body, isObject, type PatchOperation, parseMessage, parseText, parseValues } from './message.ts';

/** What a group is to be, while a message is read. */
export interface GroupDraft {
  displayName: string | undefined;
  externalId: string | undefined;
  /** Ids of users. */
  members: Set<string>;
}

const vocabulary = { attributes: groupAttributes, schema: groupSchema };

/** A whole group, for POST and PUT. */
export function parseGroup(body: unknown): GroupDraft {
  const draft: GroupDraft = { displayName: undefined, externalId: undefined, members: new Set() };
  setAll(draft, 'replace', parseMessage(body, groupSchema));
  return draft;
}

export function applyGroupPatch(draft: GroupDraft, operations: readonly PatchOperation[]): void {
  for (const { op, path, value } of operations) {
    if (path !== undefined) setAt(draft, op, path, value);
    else if (isObject(value)) setAll(draft, op, value);
    else throw scimErrors.FH_SCIM_SYNTAX({ detail: 'Without a path the value is an object.' });
  }
}

/** Okta sends the group's own `id` along. */
function setAll(draft: GroupDraft, op: PatchOperation['op'], value: Body): void {
  for (const [key, one] of Object.entries(value))
    if (!['schemas', 'id', 'meta'].includes(key.toLowerCase())) setAt(draft, op, key, one);
}

function setAt(draft: GroupDraft, op: PatchOperation['op'], text: string, value: unknown): void {
  const path = pathOf(text);
  switch (path.attribute.name) {
    case 'displayName':
      draft.displayName = op === 'remove' ? undefined : parseText(value, 'displayName');
      return;
    case 'externalId':
      draft.externalId = op === 'remove' ? undefined : parseText(value, 'externalId');
      return;
    case 'members':
      setMembers(draft, op, path, value);
      return;
    default:
      throw scimErrors.FH_SCIM_MUTABILITY({ detail: `"${path.attribute.name}" is the server's.` });
  }
}

function pathOf(text: string): PatchPath {
  let path: ReturnType<typeof parsePatchPath>;
  try {
    path = parsePatchPath(text, vocabulary);
  } catch (error) {
    throw scimErrors.FH_SCIM_PATH({ detail: (error as { detail?: string }).detail ?? '', cause: error });
  }
  if ('unknown' in path) throw scimErrors.FH_SCIM_PATH({ detail: `There is no attribute "${text.slice(0, 100)}".` });
  return path;
}

function setMembers(draft: GroupDraft, op: PatchOperation['op'], { values, sub }: PatchPath, value: unknown): void {
  if (sub) throw scimErrors.FH_SCIM_MUTABILITY({ detail: 'A member is added or removed as a whole.' });
  if (values) {
    if (op !== 'remove')
      throw scimErrors.FH_SCIM_PATH({ detail: 'Members are chosen by a filter only to be removed.' });
    for (const id of [...draft.members]) if (matches(values, { value: id })) draft.members.delete(id);
    return;
  }
  // Entra ID removes with a list of values in place of a filter.
  const given = value === undefined ? undefined : parseValues(value, 'members').map(memberId);
  if (op === 'remove') {
    if (given) for (const id of given) draft.members.delete(id);
    else draft.members.clear();
    return;
  }
  if (op === 'replace') draft.members.clear();
  for (const id of given ?? []) draft.members.add(id);
}

function memberId({ value, type }: Body): string {
  if (typeof type === 'string' && type.toLowerCase() !== 'user')
    throw scimErrors.FH_SCIM_VALUE({ detail: 'Members are users: groups in groups are to be resolved by the sender.' });
  if (!isId('usr', value)) throw scimErrors.FH_SCIM_VALUE({ detail: 'A member is named by the id of a user.' });
  return value;
}
