/** The parts that all tabs share. */

export { Age, type AgeProps, ageText } from "./age";
export { Announcer, announce } from "./announce";
export { iconOf, StateBadge, type StateBadgeProps, type Tone, toneOf } from "./badge";
export { Chip, type ChipProps } from "./chip";
export { Copy, type CopyProps, copyText } from "./copy";
export { Dialog, type DialogProps } from "./dialog";
export { Icon, type IconName } from "./icon";
export { Meter, type MeterProps } from "./meter";
export { NodeLink, type NodeLinkProps } from "./nodelink";
export { Notice, type NoticeProps } from "./notice";
export { cut, Said, type SaidProps } from "./said";
export { Spinner, type SpinnerProps } from "./spinner";
