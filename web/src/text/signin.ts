/** Words of the way in. */

export const signin = {
  title: "Sign in to Fabric",
  ended:
    "Your session has ended: it expired, was revoked, or was closed elsewhere. What the page showed is cleared.",
  oidc: "Continue with your organisation",
  or: "or",
  linkLabel: "Login link",
  linkHint: "Paste the whole link, or what stands after “token=”. It works once, for 15 minutes.",
  linkNone: "That is no login link: it holds no token that begins with “cl_”.",
  linkSend: "Sign in with the link",
  linkHow: "How to get a link",
  linkAdmin: "An admin makes one where the API runs:",
  linkCommand: "citadel-k8s user link you@example.org --config api.yaml",
  linkFirst: "Nobody is in yet? The first admin comes from:",
  linkFirstCommand: "citadel-k8s bootstrap --upgrade --config api.yaml",
  copyCommand: "Copy the command",
  methodsFailed: (why: string) => `How to sign in could not be learned: ${why}.`,
  refusedHere:
    "The API refuses sign-ins from this address: its publicUrl is another one. Open the page there.",
} as const;
