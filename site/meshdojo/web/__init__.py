"""The site: the course in a browser, with tasks that turn green by themselves.

    app       puts the pieces together (`create_app`)
    server    runs the app until Ctrl-C (`serve`)
    pages/    one module per kind of page: course, lab, live (server-sent events), entry, errors, room (instructors), …
    api/      what programs and the pages do through HTTP
    live      who is watching which lab, and what is true there now; the `Judge` interface
    judge     the `Judge` that looks at a real cluster
    progress  what a learner has done, in a database (models, database, migrations/)
    chapter   the text of a lab as safe HTML
    bus       events between the parts of a site and between its processes
    accounts  people, roles, personal tokens; sessions: browsers that are signed in
    workshops what instructors do; members: what learners do; roster, rooms: the grid; desks: what a member hears
    reporter  the other side: this machine's owner takes part in a workshop elsewhere (memberships)
    security  who may talk to us: token, session, Host, Origin, CSRF, Content-Security-Policy

The front end's sources are in ``site/frontend``; ``site/build.py`` builds them into ``static/dist``.
"""
