/** Checks that a mapping makes sense for its file. */
import type { AppDb, JsonSchema } from '../../sdk/index.ts';
import type { Import, ImportField, ImportMapping } from '../api.ts';
import { importMapping } from '../errors.ts';
import { findProject } from '../projects.sql.ts';
import { choice, idText, itemStates, itemTypes, listOf, objectOf, priorities, text } from '../schemas.ts';
import { cleanLine } from '../text.ts';

const importFields = [
  'ignore',
  'title',
  'description',
  'type',
  'state',
  'priority',
  'assignee',
  'tags',
  'requesterName',
  'requesterEmail',
  'reference',
  'dueOn',
  'createdAt',
  'fact',
] as const satisfies readonly ImportField[];
const repeatable: readonly ImportField[] = ['ignore', 'fact', 'tags', 'description'];

const valueMap = (values: readonly string[]): JsonSchema =>
  listOf(objectOf({ from: text(300, 1), to: choice(values) }, ['from', 'to']), 200);

export const mappingSchema: JsonSchema = objectOf(
  {
    fields: listOf(choice(importFields), 200, 1),
    values: objectOf({ type: valueMap(itemTypes), state: valueMap(itemStates), priority: valueMap(priorities) }, [
      'type',
      'state',
      'priority',
    ]),
    defaults: objectOf({ type: choice(itemTypes), state: choice(itemStates), priority: choice(priorities) }, [
      'type',
      'state',
      'priority',
    ]),
    project: {
      type: 'object',
      anyOf: [
        objectOf({ kind: choice(['existing']), project: idText }, ['kind', 'project']),
        objectOf({ kind: choice(['new']), key: text(6, 1), name: text(400, 1) }, ['kind', 'key', 'name']),
      ],
    },
    dateFormat: choice(['iso', 'mdy', 'dmy', 'ymd']),
  },
  ['fields', 'values', 'defaults', 'project', 'dateFormat'],
);

/** How cells and the left sides of value maps are compared. */
export function foldValue(value: string): string {
  return cleanLine(value).toLowerCase();
}

/** Throws DESK_IMPORT_MAPPING that names everything that is wrong at once. */
export async function checkMapping(
  db: AppDb,
  { columns }: Pick<Import, 'columns'>,
  mapping: ImportMapping,
): Promise<void> {
  const problems: Record<string, string> = {};
  if (mapping.fields.length !== columns.length)
    problems.fields = `names ${mapping.fields.length} columns; the file has ${columns.length}`;
  else if (!mapping.fields.includes('title')) problems.fields = 'gives no column the title';
  const twice = mapping.fields.find(
    (field, index) => !repeatable.includes(field) && mapping.fields.indexOf(field) !== index,
  );
  if (twice !== undefined) problems.fields = `gives "${twice}" to more than one column`;

  for (const kind of ['type', 'state', 'priority'] as const) {
    const seen = new Map<string, string>();
    for (const { from, to } of mapping.values[kind]) {
      const folded = foldValue(from);
      if ((seen.get(folded) ?? to) !== to) problems[`values.${kind}`] = `gives "${from}" two values`;
      seen.set(folded, to);
    }
  }

  const { project } = mapping;
  if (project.kind === 'existing') {
    const found = await findProject(db, project.project);
    if (!found) problems['project.project'] = 'does not exist';
    else if (found.archived) problems['project.project'] = 'is archived';
  } else {
    if (!/^[A-Z]{2,6}$/.test(project.key)) problems['project.key'] = 'is not 2 to 6 capital letters A–Z';
    else if (await findProject(db, project.key)) problems['project.key'] = 'is taken by another project';
    const name = cleanLine(project.name);
    if (name === '' || name.length > 120) problems['project.name'] = 'is empty or has more than 120 characters';
  }
  if (Object.keys(problems).length > 0) throw importMapping(problems);
}
