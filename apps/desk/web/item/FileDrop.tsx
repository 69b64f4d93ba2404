/** Takes files that are dropped anywhere on what it wraps. */
import { type DragEvent, type ReactNode, useRef, useState } from 'react';
import { IconUpload } from '../items/icons.ts';
import classes from './FileDrop.module.css';

export interface FileDropProps {
  readonly label: string;
  readonly onFiles: (files: readonly File[]) => void;
  readonly disabled?: boolean;
  readonly children: ReactNode;
}

export function FileDrop({ label, onFiles, disabled = false, children }: FileDropProps) {
  const [over, setOver] = useState(false);
  // Enter and leave come for every element inside; only the outermost counts.
  const depth = useRef(0);
  const carriesFiles = (event: DragEvent) => !disabled && event.dataTransfer.types.includes('Files');
  const leave = () => {
    depth.current = 0;
    setOver(false);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a shortcut; the same is done with the button beside the list
    <div
      className={classes.area}
      onDragEnter={(event) => {
        if (!carriesFiles(event)) return;
        depth.current += 1;
        setOver(true);
      }}
      onDragOver={(event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = 'copy';
      }}
      onDragLeave={(event) => {
        if (!carriesFiles(event)) return;
        depth.current -= 1;
        if (depth.current <= 0) leave();
      }}
      onDrop={(event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        leave();
        onFiles([...event.dataTransfer.files]);
      }}
    >
      {children}
      {over && (
        <div className={classes.cover}>
          <span className={classes.label}>
            <IconUpload size={18} aria-hidden /> {label}
          </span>
        </div>
      )}
    </div>
  );
}
