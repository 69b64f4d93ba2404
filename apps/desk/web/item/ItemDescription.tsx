/** The description. While it is written, what others do to it is told, and nothing of either side is lost. */
import { Button, Group, Text, Title } from '@mantine/core';
import { Notice } from '../../../../web/design/index.ts';
import type { Item } from '../../api.ts';
import { IconPencil } from '../items/icons.ts';
import { Markdown } from '../items/Markdown.tsx';
import { MarkdownEditor } from '../items/MarkdownEditor.tsx';
import { useDraft } from '../items/useDraft.ts';
import { useShortcuts } from '../shell/shortcuts.ts';
import type { SaveItem } from './ItemView.tsx';

interface Draft {
  text: string;
  /** What stood there when writing began. */
  baseText: string;
  baseVersion: number;
}

export function ItemDescription(props: { item: Item; save: SaveItem; saving: boolean; readOnly: boolean }) {
  const { item, readOnly } = props;
  const [stored, setStored] = useDraft(`description:${item.id}`);
  const draft = readOnly ? undefined : parseDraft(stored);
  const set = (next: Draft | undefined) => setStored(next && JSON.stringify(next));
  const begin = () => set({ text: item.description, baseText: item.description, baseVersion: item.version });
  useShortcuts({ e: () => (readOnly || draft ? false : begin()) });

  if (draft) {
    const save = () =>
      props.save(
        { description: draft.text },
        {
          base: { ...item, description: draft.baseText, version: draft.baseVersion },
          onSaved: () => set(undefined),
        },
      );
    return (
      <section aria-label="Description">
        <MarkdownEditor
          label="Description"
          value={draft.text}
          onChange={(text) => set({ ...draft, text })}
          onSave={save}
          onCancel={() => set(undefined)}
          saveLabel="Save description"
          saving={props.saving}
          maxLength={100_000}
          minRows={8}
          allowEmpty
          autoFocus
        >
          {item.description !== draft.baseText && (
            <Notice tone="late" role="status">
              {item.updatedBy.name} changed this description while you were writing. When you save, you see both and
              choose.
            </Notice>
          )}
        </MarkdownEditor>
      </section>
    );
  }
  return (
    <section aria-label="Description">
      <Group justify="space-between" gap="xs" mb={4}>
        <Title order={3}>Description</Title>
        {!readOnly && (
          <Button
            variant="subtle"
            color="gray"
            size="compact-sm"
            leftSection={<IconPencil size={14} />}
            onClick={begin}
          >
            Edit
          </Button>
        )}
      </Group>
      {item.description.trim() === '' ? (
        <Text c="dimmed">No description yet</Text>
      ) : (
        <Markdown text={item.description} />
      )}
    </section>
  );
}

function parseDraft(stored: string | undefined): Draft | undefined {
  if (stored === undefined) return undefined;
  try {
    return JSON.parse(stored) as Draft;
  } catch {
    return undefined;
  }
}
