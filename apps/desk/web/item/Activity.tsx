import { Tabs } from '@mantine/core';
import { useState } from 'react';
import type { Item } from '../../api.ts';
import { Comments } from './Comments.tsx';
import { History } from './History.tsx';

/** What people said, and what they did. */
export function Activity({ item, readOnly }: { item: Item; readOnly: boolean }) {
  const [tab, setTab] = useState<string | null>('comments');
  return (
    <Tabs value={tab} onChange={setTab} keepMounted={false}>
      <Tabs.List mb="sm">
        <Tabs.Tab value="comments">Comments{item.commentCount > 0 && ` (${item.commentCount})`}</Tabs.Tab>
        <Tabs.Tab value="history">History</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="comments">
        <Comments item={item} readOnly={readOnly} />
      </Tabs.Panel>
      <Tabs.Panel value="history">
        <History itemKey={item.key} />
      </Tabs.Panel>
    </Tabs>
  );
}
