/** Words of the Access tab: devices that want in, and their tokens. */

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;

export const access = {
  role: {
    needs: (role: string) => `This needs the role ${role}`,
    yours: (role: string, org: string) =>
      `In ${org} yours is ${role}. An admin of that org can give you another.`,
    none: "The session is not that of a person with a role.",
    roles:
      "viewer looks; editor changes nodes and lets devices in; admin changes people, tokens and clusters.",
    unknown: "It is not known yet who is signed in.",
  },
  cancel: "Cancel",
  again: "Try again",
  unknown: "unknown",

  enrol: {
    title: "Let a device in",
    hint: "A device that enrols shows a code on its own screen. Type it here, look at who asks, then decide.",
    code: "Code",
    placeholder: "XXXX-XXXX",
    look: "Look",
    wrong: "A code is eight consonants, such as BCDF-GHJK.",
    start: "On the device:",
    command: (address: string) => `citadel-k8s enroll ${address} --save agent.yaml`,
    copy: "Copy the command",
    notFound:
      "No device waits with this code. It was mistyped, has expired (codes hold for 10 minutes), or was decided already.",
    tooMany: (seconds: number) => `Too many codes were tried; wait ${seconds} s.`,
    asks: "This device wants in",
    claims: "All but the address is what the device says of itself; nobody has checked it.",
    compare: (code: string) => `Does its own screen show ${code}? If not, deny it.`,
    host: "Name",
    client: "Client",
    address: "Comes from",
    asked: "Asked",
    expires: "Code expires",
    expiresIn: (length: string) => `in ${length}`,
    expired: "has expired",
    forceNew: "It asks for a new identity, even if it is known.",
    unnamed: "it told no name",
    nodeId: "Enters as node",
    nodeHint: "Letters, digits, dots, dashes and underscores; 64 at most.",
    nodeWrong: "A node's id has 1 to 64 letters, digits, dots, dashes or underscores.",
    nodeKnown: (node: string) =>
      `A node ${node} is in the list already. If you approve, this device speaks for it.`,
    approve: "Approve",
    deny: "Deny",
    approved: (node: string) => `Let in as ${node}`,
    approvedText:
      "It has its token as soon as it asks, within seconds, and is in the list as Unknown until its first heartbeat.",
    denied: "Denied",
    deniedText: "The device is told so. It can begin anew with another code.",
    open: "Open the node",
    another: "Another code",
  },

  tokens: {
    title: "Device tokens",
    hint: "What a device shows when it reports. Secrets are kept as hashes and shown once.",
    caption: "Device tokens: for whom, what they may, until when",
    column: {
      name: "Name",
      node: "Node",
      scopes: "May",
      created: "Created",
      used: "Last used",
      state: "State",
      acts: "Actions",
    },
    anyNode: "any node",
    you: "you",
    by: (who: string) => `by ${who}`,
    active: "active",
    expires: (length: string) => `ends in ${length}`,
    expired: "expired",
    revoked: "revoked",
    rotated: "rotated",
    rotate: "Rotate",
    revoke: "Revoke",
    rotateOf: (name: string) => `Rotate ${name}`,
    revokeOf: (name: string) => `Revoke ${name}`,
    showOld: (count: number) => `Show ${counted(count, "ended token", "ended tokens")}`,
    hideOld: "Hide ended tokens",
    more: "Load more",
    none: "No token yet",
    noneText:
      "Make one for a device, or let devices enrol by a code: they get theirs by themselves.",
    noneActive: "No token is valid now.",
    failed: (why: string) => `Tokens cannot be had: ${why}.`,

    newTitle: "New device token",
    name: "Name",
    nameHint: "What you call the device, such as rack7-gpu1.",
    node: "Node",
    nodeHint:
      "The one node that it may speak for. Empty: any node of the org, for a rack behind one gateway.",
    days: "Ends after days",
    daysHint: "Empty: never. 3650 at most.",
    daysWrong: "A number of days up to 3650.",
    scopes: "May",
    scopeNames: {
      "device_redis:pubsub": "report and announce",
      "device_redis:read": "take work and read texts",
      "device_state:write": "tell its actual state",
      "device_authkey:write": "get a key for the mesh",
    } as Readonly<Record<string, string>>,
    create: "Create",

    secretTitle: "Keep this secret now",
    secretWarn: "It is not shown again. Whoever has it speaks for the device.",
    secret: "Secret",
    copy: "Copy the secret",
    stored: "I have stored it",
    secretUse:
      "Write it into the file that the agent's apiTokenFile names; it is read for each request.",

    rotateTitle: (name: string) => `Rotate ${name}`,
    rotateText:
      "Makes another token with the same rights. The old one works on for a grace, time to bring the new one to its node.",
    grace: "Grace in hours",
    graceHint: "0 ends the old one at once; 720 at most.",
    graceWrong: "A number of hours from 0 to 720.",

    revokeTitle: (name: string) => `Revoke ${name}?`,
    revokeText:
      "It ends at once, on every replica within 30 s. A device that still uses it is refused, and its node goes Offline.",
    usedLast: "Last used",
    revokedDone: (name: string) => `${name} is revoked`,
  },

  people: {
    title: "People",
    hint: "Who may sign in here, and what they may do. They are let in and changed by an admin where the API runs.",
    caption: "People of the org",
    column: { name: "Name", email: "E-mail", role: "Role", by: "Signs in by", state: "State" },
    by: { link: "login link", oidc: "identity provider" } as Readonly<Record<string, string>>,
    active: "may sign in",
    disabled: "locked out",
    you: "you",
    none: "Nobody is let in yet.",
    noEmail: "none",
    failed: (why: string) => `People cannot be had: ${why}.`,
  },

  clusters: {
    title: "Clusters",
    hint: "Kubernetes clusters whose agents are known by their service accounts: they need no device token.",
    caption: "Clusters that are believed",
    column: { name: "Cluster", issuer: "Issuer", accounts: "Service accounts", since: "Since" },
    none: "No cluster is believed yet.",
    failed: (why: string) => `Clusters cannot be had: ${why}.`,
  },
} as const;
