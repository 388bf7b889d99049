// Two pods of two workers, met through any of them, are one server. One cluster serves all of this, since nothing here changes it.
import './through-any-worker/http-sessions.js';
import './through-any-worker/stdio-sessions.js';
import './through-any-worker/live-progress.js';
import './through-any-worker/standalone-streams.js';
import './through-any-worker/equal-answers.js';
import './through-any-worker/unharmed-bytes.js';
import './through-any-worker/client-headers.js';
import './through-any-worker/spoofed-headers.js';
import './through-any-worker/deep-messages.js';
import './through-any-worker/deletes.js';
import './through-any-worker/lost-backend-sessions.js';
import './through-any-worker/restarted-servers.js';
import { startSharedCluster } from '../support/shared-cluster.js';

startSharedCluster();
