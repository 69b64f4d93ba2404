import { Button, Group, Spoiler, Text } from '@mantine/core';
import { formatCount, formatPlural, Notice, Panel } from '../../../../web/design/index.ts';
import type { ImportPreview } from '../../api.ts';
import { priorityWords, stateWords, typeWords } from '../data/words.ts';
import { Markdown } from '../items/Markdown.tsx';
import { formatDay, PriorityMark, StateMark, TagMark, TypeMark } from '../items/marks.tsx';
import classes from './PreviewView.module.css';
import { RefusedRows } from './RefusedRows.tsx';

/** What would come of the file, before anything is made. */
export function PreviewView(props: { preview: ImportPreview; onStart: () => void; starting: boolean }) {
  const { preview } = props;
  const none = preview.accepted === 0;
  return (
    <Panel
      title="What will come of it"
      description={`All ${formatPlural(preview.import.rowCount, 'row')} were tried. Nothing is made yet.`}
    >
      <div className={classes.result}>
        <Notice
          tone={none ? 'urgent' : 'ok'}
          role="status"
          title={`${formatPlural(preview.accepted, 'item')} will be made`}
        >
          {none && 'No row can be taken. Change the mapping above.'}
        </Notice>
        {preview.refused > 0 && (
          <Notice tone="late" title={`${formatPlural(preview.refused, 'row')} will be refused`}>
            The others are made all the same. After the import you can download the refused rows, mend them and import
            them again.
          </Notice>
        )}
      </div>
      {preview.refusedRows.length > 0 && (
        <details className={classes.details}>
          <summary>
            {preview.refused > preview.refusedRows.length
              ? `The first ${preview.refusedRows.length} refused rows`
              : 'Refused rows'}
          </summary>
          <RefusedRows rows={preview.refusedRows} />
        </details>
      )}
      {preview.items.length > 0 && (
        <>
          <Text fw={600} mt="md" mb="xs">
            The first {preview.items.length === 1 ? 'item' : `${preview.items.length} items`}
          </Text>
          <ul className={classes.items}>
            {preview.items.map((item) => (
              <li key={item.row} className={classes.item}>
                <Text fw={600}>{item.title}</Text>
                <div className={classes.facts}>
                  <span>
                    <StateMark state={item.state} /> {stateWords[item.state]}
                  </span>
                  <span>
                    <PriorityMark priority={item.priority} /> {priorityWords[item.priority]}
                  </span>
                  <span>
                    <TypeMark type={item.type} /> {typeWords[item.type]}
                  </span>
                  {item.tags.map((tag) => (
                    <TagMark key={tag.name} tag={tag} />
                  ))}
                  {item.requester && <span>from {item.requester.name ?? item.requester.email}</span>}
                  {item.reference && <span>no. {item.reference}</span>}
                  {item.createdAt && <span>created {formatDay(item.createdAt.slice(0, 10))}</span>}
                  {item.dueOn && <span>due {formatDay(item.dueOn)}</span>}
                  {item.assignee && <span>for {item.assignee.name}</span>}
                </div>
                {item.description !== '' && (
                  <Spoiler maxHeight={66} showLabel="Show all" hideLabel="Show less" className={classes.description}>
                    <Markdown text={item.description} />
                  </Spoiler>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      <Group mt="md" gap="sm">
        <Button onClick={props.onStart} loading={props.starting} disabled={none}>
          Import {formatCount(preview.accepted)} {preview.accepted === 1 ? 'item' : 'items'}
        </Button>
        <Text c="dimmed" size="sm">
          It can be undone afterwards.
        </Text>
      </Group>
    </Panel>
  );
}
