// nginx and HAProxy as an operator would set them up in front of one backend: one process, kept connections, no log.

/** By name: the program, its arguments and its configuration. */
export const BALANCERS = {
  nginx: {
    args: (dir) => ['-p', dir, '-c', `${dir}/conf`, '-e', `${dir}/error`],
    conf: (dir, port, backendPort) => `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir};
  scgi_temp_path ${dir}; keepalive_requests 100000000; keepalive_timeout 3600s; client_max_body_size 4m;
  upstream backends { hash $http_mcp_session_id consistent; server 127.0.0.1:${backendPort}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
`,
  },
  haproxy: {
    args: (dir) => ['-f', `${dir}/conf`],
    conf: (_dir, port, backendPort) => `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  http-reuse always
frontend public
  bind 127.0.0.1:${port}
  default_backend backends
backend backends
  stick-table type string len 128 size 200k expire 2h
  stick on req.hdr(mcp-session-id)
  stick store-response res.hdr(mcp-session-id)
  server one 127.0.0.1:${backendPort}
`,
  },
};
