/** Files of the item and of its comments: attach, open, download, delete. */
import { ActionIcon, Button, FileButton, Group, Progress, Text, Title } from '@mantine/core';
import { modals } from '@mantine/modals';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  ErrorState,
  IconX,
  notifyDone,
  notifyProblem,
  RelativeTime,
  SizeText,
} from '../../../../web/design/index.ts';
import type { Attachment, Item } from '../../api.ts';
import { attachmentsQuery, keys } from '../data/queries.ts';
import { IconDownload, IconFile, IconPaperclip, IconTrash } from '../items/icons.ts';
import classes from './Attachments.module.css';
import type { Upload, Uploads } from './useUploads.ts';

export function Attachments({ item, uploads, readOnly }: { item: Item; uploads: Uploads; readOnly: boolean }) {
  const { data, error, refetch } = useQuery(attachmentsQuery(item.key));
  const attachments = data?.attachments ?? [];
  return (
    <section aria-label="Attachments">
      <Group justify="space-between" gap="xs" mb={4}>
        <Title order={3}>Attachments{attachments.length > 0 && ` (${attachments.length})`}</Title>
        {!readOnly && (
          <FileButton onChange={uploads.add} multiple>
            {(props) => (
              <Button
                {...props}
                variant="subtle"
                color="gray"
                size="compact-sm"
                leftSection={<IconPaperclip size={14} />}
              >
                Attach files
              </Button>
            )}
          </FileButton>
        )}
      </Group>
      {error && !data && <ErrorState error={error} onRetry={() => void refetch()} />}
      {attachments.length === 0 && uploads.list.length === 0 && !error && (
        <Text c="dimmed">{readOnly ? 'No files' : 'No files yet. Drop some here, up to 50 MB each.'}</Text>
      )}
      <ul className={classes.list}>
        {uploads.list.map((upload) => (
          <UploadRow key={upload.id} upload={upload} onDrop={() => uploads.drop(upload.id)} />
        ))}
        {attachments.map((attachment) => (
          <AttachmentRow key={attachment.id} attachment={attachment} itemKey={item.key} readOnly={readOnly} />
        ))}
      </ul>
    </section>
  );
}

function UploadRow({ upload, onDrop }: { upload: Upload; onDrop: () => void }) {
  return (
    <li className={classes.row}>
      <span className={classes.sign}>
        <IconFile size={18} aria-hidden />
      </span>
      <div className={classes.text}>
        <span className={classes.name}>{upload.name}</span>
        {upload.problem ? (
          <Text size="xs" c="var(--fh-urgent)" role="alert">
            {upload.problem}
          </Text>
        ) : (
          <>
            <Progress value={upload.share * 100} size="sm" aria-label={`Sending ${upload.name}`} />
            <Text size="xs" c="dimmed">
              {upload.share >= 1 ? 'Checking and storing' : `${Math.floor(upload.share * 100)} % of `}
              {upload.share < 1 && <SizeText bytes={upload.sizeBytes} />}
            </Text>
          </>
        )}
      </div>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={upload.problem ? `Take ${upload.name} from the list` : `Stop sending ${upload.name}`}
        onClick={onDrop}
      >
        <IconX size={16} />
      </ActionIcon>
    </li>
  );
}

const pictureTypes = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

function AttachmentRow(props: { attachment: Attachment; itemKey: string; readOnly: boolean }) {
  const { attachment } = props;
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => apiFetch<undefined>(`/api/attachments/${attachment.id}`, { method: 'DELETE' }),
    onSuccess: () => {
      notifyDone(`${attachment.name} deleted`);
      void queryClient.invalidateQueries({ queryKey: keys.item(props.itemKey) });
    },
    onError: notifyProblem,
  });
  const ask = () =>
    modals.openConfirmModal({
      title: <Text fw={600}>Delete {attachment.name}</Text>,
      children: 'The file goes for everybody. There is no way back here; the history keeps its name.',
      labels: { confirm: 'Delete file', cancel: 'Cancel' },
      confirmProps: { color: 'red' },
      onConfirm: () => remove.mutate(),
    });
  const picture = pictureTypes.includes(attachment.mediaType);
  return (
    <li className={classes.row}>
      <span className={classes.sign}>
        {picture ? (
          <img src={`${attachment.url}?inline=true`} alt="" loading="lazy" className={classes.picture} />
        ) : (
          <IconFile size={18} aria-hidden />
        )}
      </span>
      <div className={classes.text}>
        <a
          className={classes.name}
          href={picture ? `${attachment.url}?inline=true` : attachment.url}
          target={picture ? '_blank' : undefined}
          rel="noopener noreferrer"
        >
          {attachment.name}
        </a>
        <Text size="xs" c="dimmed">
          <SizeText bytes={attachment.sizeBytes} />, <RelativeTime value={attachment.createdAt} /> by{' '}
          {attachment.createdBy.name}
          {attachment.commentId && ', in a comment'}
        </Text>
      </div>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Download ${attachment.name}`}
        renderRoot={(rest) => <a href={attachment.url} download={attachment.name} {...rest} />}
      >
        <IconDownload size={16} />
      </ActionIcon>
      {attachment.canDelete && !props.readOnly && (
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={`Delete ${attachment.name}`}
          loading={remove.isPending}
          onClick={ask}
        >
          <IconTrash size={16} />
        </ActionIcon>
      )}
    </li>
  );
}
